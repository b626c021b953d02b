local answers = require "orch.executor.docker.answers"

local function payload(...)
  local texts = table.pack(...)
  for i = 1, texts.n do texts[i] = tostring(texts[i]) end
  return table.concat(texts, "\0") .. "\0"
end

local function refused(what, value, err)
  assert.is_nil(value)
  assert.equal("remote", err.kind)
  assert.matches("it told no " .. what, err.message)
end

describe("the shim's answers", function()
  it("tell how a program ended", function()
    local result, why = answers.ending(payload("exit", 3, 1500000, 2000, 4096, "", 0))
    assert.same({ code = 3, user = 1.5, system = 0.002, max_rss = 4096 * 1024 }, result)
    assert.equal("", why)
    result, why = answers.ending(payload("signal", 9, 0, 0, 0, "quiet", 1))
    assert.same({ code = -1, signal = 9, user = 0, system = 0, max_rss = 0, out_of_memory = true },
      result)
    assert.equal("quiet", why)
  end)

  it("that are no end of a program are an error, not a fault of the engine's", function()
    for _, each in ipairs { "", "\0", "exit", payload "exit", payload("exit", "x", 0, 0, 0, "", 0),
      payload("exit", -1, 0, 0, 0, "", 0), payload("exit", 256, 0, 0, 0, "", 0),
      payload("exit", 0, 0, 0, 0, "?", 0),
      payload("left", 0, 0, 0, 0, "", 0), ("\0"):rep(2000000) } do
      refused("end of a program", answers.ending(each))
    end
  end)

  it("tell who the user is", function()
    assert.same({ uid = 1, gid = 4294967295, groups = { 3, 4 },
      environment = { HOME = "/", EMPTY = "" } },
      (answers.identity(payload(1, 4294967295, 2, 3, 4, "HOME=/", "EMPTY=", "none", "=none"))))
  end)

  it("with more groups than there are end at once", function()
    for _, each in ipairs { "", payload(0, 0, 1), payload(0, 0, math.maxinteger), payload(0, 0, -1),
      payload(0, 0, 1, "x"), payload(0, 0, "0x1", 1) } do
      refused("user", answers.identity(each))
    end
  end)

  it("tell of a file", function()
    assert.same({ type = "file", size = 12, mode = 420, uid = 0, gid = 7, mtime = -1.5 },
      (answers.stat(payload("file", 12, 420, 0, 7, "-1.500000000"))))
    for _, each in ipairs { "", payload("socket", 1, 1, 1, 1, "1.0"),
      payload("file", 1, 1, 1, 1, "nan"),
      payload("file", 1, 1, 1, 1), payload("file", 1e300, 1, 1, 1, "1.0") } do
      refused("facts of a file", answers.stat(each))
    end
  end)

  it("carry errors, of kinds that there are", function()
    local err = answers.failure(payload("missing", 2, "cannot look at /x"), "docker exec")
    assert.same({ "missing", 2, "cannot look at /x", "docker exec" },
      { err.kind, err.code, err.message, err.op })
    for _, each in ipairs { "", payload "strange", payload("strange", 1, "words"),
      payload("io", 1) } do
      refused("error", nil, answers.failure(each))
    end
  end)

  it("have a path, or an error", function()
    assert.equal("/a", answers.text(payload("/a", "/b")))
    refused("path", answers.text "/a")
  end)
end)
