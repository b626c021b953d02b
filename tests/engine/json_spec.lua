local json = require "orch.json"
local secret = require "orch.secret"

local function refused(value, pattern)
  local good, err = pcall(json.encode, value)
  assert.is_false(good)
  assert.matches(pattern, tostring(err))
end

local function round(text) return json.encode(assert(json.decode(text))) end

describe("json.decode", function()
  it("reads every type", function()
    local value = json.decode [[{"a":[1,-2.5,"x",true,false,null],"b":{}}]]
    assert.same({ 1, -2.5, "x", true, false }, { table.unpack(value.a, 1, 5) })
    assert.equal(json.null, value.a[6])
    assert.same({}, value.b)
    assert.equal("null", tostring(json.null))
    assert.equal(7, json.decode "7")
    assert.equal(json.null, json.decode " null ")
  end)

  it("keeps 64-bit integers and tells them from floats", function()
    assert.equal(math.maxinteger, json.decode "9223372036854775807")
    assert.equal(math.mininteger, json.decode "-9223372036854775808")
    assert.equal("float", math.type(json.decode "1.0"))
    assert.equal("integer", math.type(json.decode "1"))
    assert.is_nil(json.decode "9223372036854775808")
    assert.is_nil(json.decode "1e999")
  end)

  it("allows NUL in strings", function()
    assert.equal("a\0b", json.decode [["a\u0000b"]])
  end)

  it("tells line and column but not the text", function()
    local value, err = json.decode '{"token":\n hunter2}'
    assert.is_nil(value)
    assert.equal("usage", err.kind)
    assert.equal("json", err.op)
    assert.matches("^invalid JSON at 2:%d+: ", err.message)
    assert.not_matches("hunter", err.message)
  end)

  it("refuses what is no document", function()
    for _,
      text in ipairs { "", " ", "{", "[1,]", "{'a':1}", "[1] 2", "nul", "\xef\xbb\xbf1", '"\xff"',
      '"\\ud800"', "01", "+1", "[NaN]", '{"a\\u0000":1}', "\0" } do
      local value, err = json.decode(text)
      assert.is_nil(value)
      assert.equal("usage", err.kind)
    end
  end)

  it("has a ceiling of 200 levels", function()
    assert.truthy(json.decode(("["):rep(200) .. ("]"):rep(200)))
    local value, err = json.decode(("["):rep(201) .. ("]"):rep(201))
    assert.is_nil(value)
    assert.matches("200 levels", err.message)
    assert.is_nil((json.decode(('{"a":'):rep(201) .. "1" .. ("}"):rep(201))))
    assert.is_nil((json.decode(("["):rep(1000000))))
  end)

  it("has a ceiling on its length", function()
    assert.equal(1, json.decode("1", { max = 1 }))
    local value, err = json.decode("10", { max = 1 })
    assert.is_nil(value)
    assert.equal("limit", err.kind)
    assert.equal("limit", select(2, json.decode((" "):rep((64 << 20) + 1))).kind)
  end)

  it("has a ceiling for values, which those in strings are none of", function()
    local text = "[[],{},\"a,b,[{\\\\\\\",,,\"]"
    assert.equal(3, #assert(json.decode(text, { values_max = 6 })))
    local value, err = json.decode(text, { values_max = 4 })
    assert.is_nil(value)
    assert.same({ "limit", "JSON of more than 4 values" }, { err.kind, err.message })
    local many = "[" .. ("[],"):rep(1000000) .. "0]"
    value, err = json.decode(many)
    assert.is_nil(value)
    assert.equal("limit", err.kind)
    assert.equal(2000000, #assert(json.decode("\"" .. (","):rep(2000000) .. "\"")))
  end)

  it("raises for misuse", function()
    assert.has_error(function() json.decode(nil) end)
    assert.has_error(function() json.decode("1", { size = 1 }) end)
    assert.has_error(function() json.decode(secret.new("1", "S")) end)
  end)
end)

describe("json.encode", function()
  it("sorts names and marks lists", function()
    assert.equal([[{"a":[1,2],"b":{},"c":[],"d":null,"é":true}]],
      json.encode { b = {}, a = { 1, 2 }, c = json.array {}, d = json.null, ["é"] = true })
    assert.equal("[]", json.encode(json.array()))
    assert.equal("{\n  \"a\": [\n    1\n  ]\n}", json.encode({ a = { 1 } }, { pretty = true }))
  end)

  it("brings every document back", function()
    for _,
      text in ipairs { "[]", "{}", "[[],{}]", [[{"a":[],"b":{"c":[null]}}]], "1", "-0.0", "1.0",
      "0.1",
      "1e300", "true", "null", [["\u0000\u001F\"\\/"]],
      "[9223372036854775807,0.30000000000000004]" } do
      assert.equal(text, round(text))
    end
  end)

  it("keeps every bit of a float", function()
    for _ = 1, 2000 do
      local number = string.unpack("d", string.pack("j", math.random(0)))
      if number == number and math.abs(number) < math.huge then
        assert.equal(number, json.decode(json.encode { number })[1])
      end
    end
  end)

  it("writes stray bytes as U+FFFD", function()
    local cases = {
      ["a\xffb"] = "a\u{fffd}b", ["\xc3"] = "\u{fffd}", ["\xc0\xaf"] = "\u{fffd}\u{fffd}",
      ["\xed\xa0\x80"] = "\u{fffd}\u{fffd}\u{fffd}", ["\xe2\x82"] = "\u{fffd}",
      ["\xf4\x90\x80\x80"] = "\u{fffd}\u{fffd}\u{fffd}\u{fffd}", ["\xe2\x82x"] = "\u{fffd}x",
      ["€\u{10ffff}\u{800}"] = "€\u{10ffff}\u{800}",
    }
    for from, to in pairs(cases) do
      assert.equal(to, json.decode(json.encode(from)))
      assert.same({ [to] = 1 }, json.decode(json.encode { [from] = 1 }))
    end
    for _ = 1, 3000 do
      local bytes = {}
      for i = 1, math.random(0, 12) do
        bytes[i] = string.char(math.random() < 0.3 and math.random(0, 127) or math.random(128, 255))
      end
      local text = table.concat(bytes)
      local back = json.decode(json.encode { text })[1]
      assert.truthy(utf8.len(back))
      if utf8.len(text) then assert.equal(text, back) end
    end
  end)

  it("escapes what turns text around, and what is unseen", function()
    local text = "a\u{202e}b\u{200b}c\u{feff}d\u{e0041}é😀"
    assert.equal([["a\u202Eb\u200Bc\uFEFFd\uDB40\uDC41é😀"]], json.encode(text))
    assert.equal(text, json.decode(json.encode(text)))
  end)

  it("escapes every control character, those of C1 too", function()
    assert.equal([["\u001Ba\u007F\u0080b\u009Fü\u00A0"]],
      json.encode "\27a\127\u{80}b\u{9f}ü\u{a0}":gsub("\u{a0}", "\\u00A0"))
    for code = 1, 0xff do
      local text = "a" .. utf8.char(code) .. "b"
      assert.not_matches("[%c\127]", json.encode(text))
      assert.equal(text, json.decode(json.encode(text)))
    end
  end)

  it("refuses what JSON cannot hold, telling the place", function()
    local loop = {}
    loop.a = { loop }
    refused(loop, "holds itself at %.a%[1%]")
    refused({ env = { 1, { x = print } } }, "a function cannot be written as JSON at %.env%[2%]%.x")
    refused({ a = secret.new("hunter2", "PASS") }, "a secret cannot be written as JSON at %.a")
    refused(secret.new("x", "PASS"), "a secret cannot be written as JSON")
    refused({ [secret.new("x", "PASS")] = 1 }, "a secret cannot be written as JSON")
    refused(0 / 0, "not a number")
    refused({ -1 / 0 }, "infinite number at %[1%]")
    refused({ 1, nil, 3 }, "neither")
    refused({ 1, a = 2 }, "neither")
    refused({ [2] = 1 }, "neither")
    refused({ [1.5] = 1 }, "neither")
    refused({ [true] = 1 }, "neither")
    refused(coroutine.create(print), "a thread")
    refused({ ["\xff"] = 1, ["\xfe"] = 2 }, "two names")
  end)

  it("allows the same table twice", function()
    local shared = { 1 }
    assert.equal("[[1],[1]]", json.encode { shared, shared })
  end)

  it("has a ceiling of 200 levels", function()
    local deep = json.array {}
    for _ = 2, 200 do deep = { deep } end
    assert.equal(("["):rep(200) .. ("]"):rep(200), json.encode(deep))
    refused({ deep }, "200 levels")
  end)

  it("raises for misuse", function()
    assert.has_error(function() json.encode() end)
    assert.has_error(function() json.encode(1, { prety = true }) end,
      "json.encode: unknown option 'prety' (known: pretty, open_secrets)")
    assert.has_error(function() json.array(setmetatable({}, {})) end)
    assert.has_error(function() json.array(1) end)
  end)

  it("writes secrets only when told to, as a secret", function()
    local value = { user = "u", password = secret.new('p"w', "PW") }
    assert.has_error(function() json.encode(value) end,
      "json.encode: a secret cannot be written as JSON at .password")
    local text = json.encode(value, { open_secrets = true })
    assert.is_true(secret.is(text))
    assert.equal("PW", secret.name(text))
    assert.equal(#[[{"password":"p\"w","user":"u"}]], secret.len(text))
    assert.equal('{"a":1}', json.encode({ a = 1 }, { open_secrets = true }))
  end)
end)

describe("json.plain", function()
  it("writes what reads as the same again", function()
    local shared = { 1 }
    for _, value in ipairs { 0, -7, 0.1, -1e300, "", "é\n\0\"", true, false, {}, { 1, "x", {} },
      { a = 1, B_2 = { x = { 1.5 } } }, { shared, shared } } do
      assert.equal(json.encode(value), json.plain(value))
      assert.same(value, json.decode(json.plain(value)))
    end
  end)

  it("leaves everything else alone", function()
    local loop, deep = {}, {}
    loop.a = { loop }
    for _ = 2, 51 do deep = { deep } end
    for _, value in ipairs { print, secret.new("hunter2", "PASS"), json.null, json.array { 1 }, 0 / 0,
      1 / 0, "\xff", { [2] = 1 }, { 1, x = 2 }, { [1.5] = 1 }, { [true] = 1 }, { ["$bytes"] = "x" },
      { ["a b"] = 1 }, { [""] = 1 }, { ["é"] = 1 }, { [secret.new("x", "PASS")] = 1 }, loop, deep,
      setmetatable({}, {}) } do
      assert.is_nil(json.plain(value))
      assert.is_nil(json.plain { nested = { 1, value } })
    end
    assert.is_nil(json.plain(nil))
  end)

  it("gives up on tables that hold each other over and over", function()
    local value = { "x" }
    for _ = 1, 40 do value = { value, value } end
    assert.is_nil(json.plain(value))
  end)
end)
