local json = require "orch.json"
local record = require "orch.record"
local secret = require "orch.secret"

local function back(value) return record.decode(assert(record.encode(value))) end

describe("record", function()
  it("brings plain values back", function()
    for _,
      value in ipairs { 0, -1, 2 ^ 53 | 0, math.maxinteger, math.mininteger, 0.1, 1e300, 1.0, "",
      "x", true, false,
      "line\nline\t\"'\\", "é ‹›", "a\0b", {}, { 1, 2, 3 }, { a = { b = { c = {} } } },
      { { 1 }, { x = 2 } } } do
      assert.same(value, back(value))
      assert.equal(math.type(value), math.type(back(value)))
    end
    assert.is_nil(back(nil))
  end)

  it("brings every byte back", function()
    local all = {}
    for i = 0, 255 do all[i + 1] = string.char(i) end
    local bytes = table.concat(all)
    assert.equal(bytes, back(bytes))
    assert.same({ body = bytes, list = { "\xff", "plain" } },
      back { body = bytes, list = { "\xff", "plain" } })
    assert.same({ ["\xff"] = 1, ["a\0"] = 2 }, back { ["\xff"] = 1, ["a\0"] = 2 })
  end)

  it("brings tables back that JSON has no shape for", function()
    for _, value in ipairs {
      { 1, 2, name = "mixed" }, { [10] = "sparse", [20] = "list" }, { [0] = "zero" },
      { [1.5] = "a fraction" },
      { [true] = 1, [false] = 2 }, { ["1"] = "text", [1] = "number" }, { { [3] = "deep" } },
    } do assert.same(value, back(value)) end
  end)

  it("takes no user's table for a mark", function()
    for _,
      value in ipairs { { ["$bytes"] = "eA==" }, { ["$pairs"] = {} },
      { ["$secret"] = "x", other = 1 } } do
      assert.same(value, back(value))
    end
    assert.not_equal(record.fingerprint { ["$secret"] = "A" },
      record.fingerprint { secret.new("value", "A") })
  end)

  it("refuses what it cannot bring back", function()
    local circle = {}
    circle.a, circle.b = circle, circle
    for _,
      value in ipairs { print, secret.new("hunter2!", "A"), coroutine.create(print), 0 / 0,
      math.huge, -math.huge, circle } do
      assert.is_nil(record.encode(value))
      assert.is_nil(record.encode { nested = { value } })
    end
    assert.is_nil(record.encode { [secret.new("hunter2!", "A")] = 1 })
  end)

  it("says what it cannot bring back, and where that is", function()
    local circle = {}
    circle.a = circle
    for words, value in pairs {
      ["o.list[2] is a function"] = { list = { 1, print } },
      ["o is the number -inf"] = -math.huge, ["o is a thread"] = coroutine.create(print),
      ["o.a.b is the secret A"] = { a = { b = secret.new("hunter2!", "A") } },
      ["a name in o.x is the secret A"] = { x = { [secret.new("hunter2!", "A")] = 1 } },
    } do
      assert.equal(words, record.blame(value, "o"))
    end
    assert.is_nil(record.blame({ x = { [true] = 1 } }, "o"))
    assert.matches("^o%.a%.a.* is a table in too many others, or in itself$",
      record.blame(circle, "o"))
  end)

  it("keeps fifty levels", function()
    local function nested(depth)
      local value = {}
      for _ = 2, depth do value = { value } end
      return value
    end
    assert.same(nested(50), back(nested(50)))
    assert.is_nil(record.encode(nested(51)))
  end)

  it("has a ceiling for tables that hold each other over and over", function()
    local value = { "x" }
    for _ = 1, 40 do value = { value, value } end
    assert.is_nil(record.encode(value))
  end)

  it("gives the same text for the same value", function()
    local a, b = {}, {}
    for i = 1, 50 do a["k" .. i] = i end
    for i = 50, 1, -1 do b["k" .. i] = i end
    assert.equal(record.encode(a), record.encode(b))
    assert.equal(record.fingerprint(a), record.fingerprint(b))
    assert.equal(record.encode { [3] = 1, x = 2, [1] = 3 },
      record.encode { x = 2, [1] = 3, [3] = 1 })
  end)

  it("fingerprints secrets by name, functions by place, and shows neither", function()
    local one, other = secret.new("first value", "TOKEN"), secret.new("second value", "TOKEN")
    assert.equal(record.fingerprint { one }, record.fingerprint { other })
    assert.not_equal(record.fingerprint { one },
      record.fingerprint { secret.new("first value", "OTHER") })
    assert.is_nil(record.fingerprint({ one }):find("first", 1, true))
    local function f() end
    assert.matches("record_spec.lua:%d+", record.fingerprint { f })
    assert.not_equal(record.fingerprint { f }, record.fingerprint { function() end })
  end)

  it("fingerprints whatever it is given", function()
    assert.not_equal(record.fingerprint { math.huge }, record.fingerprint { -math.huge })
    assert.equal(record.fingerprint { 0 / 0 }, record.fingerprint { 0 / 0 })
    assert.not_equal(record.fingerprint { 1, 2 }, record.fingerprint { 1, 2, x = 3 })
    assert.not_equal(record.fingerprint { 1 }, record.fingerprint { "1" })
    assert.equal(record.fingerprint { json.null }, record.fingerprint { json.null })
    assert.is_string(record.fingerprint { coroutine.create(print) })
  end)
end)
