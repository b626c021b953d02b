local fs = require "orch.fs"
local library = require "orch.library"
local proc = require "orch.proc"

-- Frames of engine/shim/wire.h.
local function frame(kind, ...)
  local texts = table.pack(...)
  return string.pack(">c1s4", kind,
    texts.n > 0 and table.concat(texts, "\0", 1, texts.n) .. "\0" or "")
end

local function bytes_frame(kind, bytes) return string.pack(">c1s4", kind, bytes) end

-- What `orch-shim serve` answers to these, as { { kind, payload }… }.
local function answers(input)
  local result =
    assert(proc.run { argv = { library.shim(), "serve" }, input = input, split = true })
  assert.equal(0, result.code)
  local list, at = {}, 1
  while at <= #result.stdout do
    local kind, payload
    kind, payload, at = string.unpack(">c1s4", result.stdout, at)
    list[#list + 1] = { kind, payload }
  end
  return list
end

local function texts_of(payload)
  local texts = {}
  for text in payload:gmatch("([^\0]*)\0") do texts[#texts + 1] = text end
  return texts
end

describe("the shim's files", function()
  local dir
  before_each(function() dir = assert(fs.make_temp("/tmp/orch-spec-")) end)
  after_each(function() assert(fs.remove(dir)) end)

  it("are written, appended to, looked at, listed, read and removed, in the order asked for",
    function()
    local list = answers(table.concat {
      frame("D", dir .. "/a/b", "448"),
      frame("W", dir .. "/a/b/f", tostring(tonumber("640", 8)), "1"),
      bytes_frame("w", "one\0"), bytes_frame("w", "two"), frame "g",
      frame("A", dir .. "/a/b/f", "0", "0"),
      bytes_frame("w", "!"), frame "g", frame("S", dir .. "/a/b/f"), frame("L", dir .. "/a/b"),
      frame("R", dir .. "/a/b/f", "100"), frame("P", dir .. "/a/../a/b"), frame("X", dir .. "/a"),
      frame("S", dir .. "/a"),
    })
    local kinds = {}
    for i, each in ipairs(list) do kinds[i] = each[1] end
    assert.equal("kkkkkokkke", table.concat(kinds))
    local stat = texts_of(list[4][2])
    assert.same({ "file", "8", tostring(tonumber("640", 8)) }, { stat[1], stat[2], stat[3] })
    assert.same({ "f" }, texts_of(list[5][2]))
    assert.equal("one\0two!", list[6][2])
    assert.same({ fs.real_path(dir) .. "/a/b" }, texts_of(list[8][2]))
    assert.same({ "missing", "2" }, table.move(texts_of(list[10][2]), 1, 2, 1, {}))
  end)

  it("are no FIFOs, which nobody may ever write to", function()
    assert.equal(0, assert(proc.run { argv = { "mkfifo", dir .. "/fifo" } }).code)
    local list = answers(frame("R", dir .. "/fifo", "100"))
    assert.same({ "conflict", dir .. "/fifo is a FIFO, not a file" },
      { texts_of(list[1][2])[1], texts_of(list[1][2])[3] })
  end)

  it("say whether a directory may be written in", function()
    local list = answers(frame("C", dir) .. frame("C", dir .. "/absent"))
    assert.equal("k", list[1][1])
    assert.equal("missing", texts_of(list[2][2])[1])
  end)

  it("refuse a file that is too large, and a port where nobody listens", function()
    assert(fs.write(dir .. "/big", ("x"):rep(200000)))
    local list = answers(frame("R", dir .. "/big", "100000")
      .. frame("T", "127.0.0.1", "1", "500", "")
      .. frame("T", "nowhere", "1", "500", ""))
    local last = #list
    assert.equal("limit", texts_of(list[last - 2][2])[1])
    assert.equal("net", texts_of(list[last - 1][2])[1])
    assert.equal("usage", texts_of(list[last][2])[1])
  end)

  it("tell who asks, with the environment", function()
    local texts = texts_of(answers(frame "I")[1][2])
    local stat = assert(fs.stat("/proc/self"))
    assert.same({ tostring(stat.uid), tostring(stat.gid) }, { texts[1], texts[2] })
    local named = {}
    for _, each in ipairs(texts) do named[each:match("^([^=]*)=") or ""] = true end
    assert.is_true(named.PATH)
  end)

  it("end at what is no request, without an answer to it", function()
    for _,
      garbage in ipairs { "x", frame "?", string.pack(">c1I4", "r", 0xffffffff), "r\0\0\1\0abc",
      frame "w",
      frame("W", dir .. "/f", "0", "0") .. bytes_frame("w", "half") } do
      local result =
        assert(proc.run { argv = { library.shim(), "serve" }, input = garbage, timeout = 5 })
      assert.equal(0, result.code)
      assert.is_nil(fs.stat(dir .. "/f"))
    end
  end)
end)
