local json = require "orch.json"
local proc = require "orch.proc"
local secret = require "orch.secret"
local task = require "orch.task"

local function opened(value)
  return assert(proc.run { argv = { "/usr/bin/printf", "%s", value } }).stdout
end

describe("a secret", function()
  local password
  before_each(function() password = secret.new("hunter2!", "PASSWORD") end)

  it("prints as stars wherever Lua would show it", function()
    assert.equal("***", tostring(password))
    assert.equal("<***>", "<" .. tostring("a" .. password) .. ">")
  end)

  it("is kept by a chain of concatenations at every depth of calls", function()
    local function joined_at(depth)
      if depth == 0 then return "user" .. ":" .. password .. "@" .. "host" end
      local joined = joined_at(depth - 1)
      return joined, depth
    end
    for depth = 1, 30 do
      local good, joined = task.spawn(joined_at, depth):join()
      assert.is_true(good)
      assert.equal("user:hunter2!@host", opened(joined))
    end
  end)

  it("is refused where a format would lose it", function()
    for _, format in ipairs { "%s", "%q", "%d", "<%s>" } do
      assert.has_error(function() return format:format(password) end)
      assert.has_error(function() return string.format("%s " .. format, 1, "a" .. password) end)
    end
    assert.equal("1 x", ("%d %s"):format(1, "x"))
  end)

  it("cannot be looked into by Lua", function()
    for _, f in ipairs {
      function() return #password end,
      function() return password:sub(1) end,
      function() return string.sub(password, 1) end,
      function() return string.byte(password) end,
      function() return table.concat { password } end,
      function() return password.value end,
      function() password.value = 1 end,
      function() return pairs(password)() end,
      function() return password < password end,
      function() return password + 1 end,
      function() return utf8.len(password) end,
      function() return ("x"):rep(2, password) end,
      function() setmetatable(password, {}) end,
      function() return tonumber(password) + 1 end,
      function() return load(password)() end,
    } do
      local good, failure = pcall(f)
      assert.is_false(good)
      assert.not_matches("hunter", tostring(failure))
    end
    assert.equal("secret", getmetatable(password))
    assert.equal("userdata", type(password))
  end)

  it("makes secrets when it is put together with text", function()
    for _,
      each in ipairs { "a" .. password, password .. "b", "a" .. password .. "b",
      1 .. password .. 2.5,
      password .. password } do
      assert.is_true(secret.is(each))
      assert.equal("***", tostring(each))
      assert.equal("PASSWORD", secret.name(each))
    end
    assert.equal("user:hunter2!@7", opened("user:" .. password .. "@" .. 7))
    assert.equal("hunter2!hunter2!", opened(password .. password))
    assert.equal("x", opened(secret.new("", "EMPTY") .. "x"))
    for _, bad in ipairs { {}, true, print } do
      assert.has_error(function() return password .. bad end)
      assert.has_error(function() return bad .. password end)
    end
    assert.has_error(function() return password .. nil end)
  end)

  it("is refused by JSON, at any depth", function()
    for _, value in ipairs { password, { password }, { a = { b = { "x" .. password } } } } do
      local good, failure = pcall(json.encode, value)
      assert.is_false(good)
      assert.matches("a secret cannot be written as JSON", tostring(failure))
    end
  end)

  it("equals itself only, so that comparing tells nothing", function()
    local other = secret.new("hunter2!", "PASSWORD")
    assert.is_true(password == password)
    assert.is_false(password == other)
    assert.is_false(password == "hunter2!")
    assert.is_nil(({ [password] = 1 })[other])
  end)

  it("keeps every byte and is opened by primitives", function()
    local bytes = {}
    for i = 0, 255 do bytes[#bytes + 1] = string.char(i) end
    local all = table.concat(bytes)
    assert.equal(all, assert(proc.run { argv = { "cat" }, input = secret.new(all, "ALL") }).stdout)
    assert.equal(all .. all,
      assert(proc.run { argv = { "cat" }, input = all .. secret.new(all, "ALL") }).stdout)
  end)

  it("is told from other values", function()
    assert.is_true(secret.is(password))
    for _, value in ipairs { "hunter2!", 1, {}, io.stdout, secret.masker() } do
      assert.is_false(secret.is(value))
    end
    assert.is_false(secret.is(nil))
    assert.has_error(function() secret.name("text") end)
  end)

  it("is made of a text and a name", function()
    assert.has_error(function() secret.new("x") end)
    assert.has_error(function() secret.new(nil, "NAME") end)
    assert.has_error(function() secret.new({}, "NAME") end)
    assert.has_error(function() secret.new(password, "NAME") end)
  end)

  it("survives and dies in great numbers", function()
    local joined = secret.new("", "MANY")
    for i = 1, 2000 do joined = joined .. (i % 10) end
    collectgarbage()
    assert.equal(("1234567890"):rep(200), opened(joined))
  end)
end)

describe("a masker", function()
  local masker
  before_each(function() masker = secret.masker() end)

  local function add(value) return masker:add(secret.new(value, "S")) end

  it("puts stars in place of each occurrence", function()
    assert.is_true(add "hunter2")
    local cases = {
      { "", "" }, { "nothing", "nothing" }, { "hunter2", "***" }, { "hunter2hunter2", "******" },
      { "a hunter2 b hunter2", "a *** b ***" }, { "hunter", "hunter" }, { "hunhunter2", "hun***" },
      { "HUNTER2", "HUNTER2" }, { "hunter\0hunter2\0", "hunter\0***\0" },
    }
    for _, case in ipairs(cases) do assert.equal(case[2], masker:apply(case[1])) end
  end)

  it("leaves texts alone that hold no secret, byte for byte", function()
    add "hunter2"
    local bytes = {}
    for i = 0, 255 do bytes[#bytes + 1] = string.char(i) end
    local all = table.concat(bytes)
    assert.equal(all, masker:apply(all))
    assert.equal(all, secret.masker():apply(all))
  end)

  it("is empty until it is given a secret", function()
    assert.is_true(masker:is_empty())
    add "hunter2"
    assert.is_false(masker:is_empty())
  end)

  it("refuses what is too short to be hidden without hiding everything", function()
    for _, short in ipairs { "", "a", "abc" } do assert.is_false(add(short)) end
    assert.equal("abc a", masker:apply "abc a")
    assert.is_true(add "abcd")
    assert.equal("*** a", masker:apply "abcd a")
  end)

  it("takes the longest where several begin", function()
    add "secret"
    add "secret-and-more"
    add "secret-and"
    assert.equal("*** *** *** *** -x",
      masker:apply "secret secret-and-more secret-and secret-and -x")
    assert.equal("***-mor", masker:apply "secret-and-mor")
  end)

  it("hides all of those that overlap", function()
    add "abcdef"
    add "defghi"
    assert.equal("***", masker:apply "abcdefghi")
    assert.equal("***", masker:apply "defghi")
  end)

  it("hides each line of a secret of several, but not what says nothing", function()
    add "{\n  \"token\": \"abcdefgh\",\n  \"n\": 1\n}\n-----BEGIN KEY-----\nMIIEabcd==\n-----END KEY-----\n"
    assert.equal("  ***", masker:apply '  "token": "abcdefgh",')
    assert.equal("key: ***", masker:apply "key: MIIEabcd==")
    for _,
      plain in ipairs { "{", "}", "----", "-----BEGIN KEY-----", "-----END KEY-----", "MIIE" } do
      assert.equal(plain, masker:apply(plain))
    end
  end)

  it("hides lines that end in CR LF", function()
    add "first line\r\nsecond line\r\n"
    assert.equal("***, ***", masker:apply "first line, second line")
  end)

  it("hides a secret of one line without its end of line", function()
    add "p#ss!\n"
    assert.equal("-p ***", masker:apply "-p p#ss!")
  end)

  it("hides the forms in which URLs and JSON hold it", function()
    add "p/w+d \"q\"\\\n\tend"
    assert.equal("?p=***", masker:apply "?p=p%2Fw%2Bd%20%22q%22%5C%0A%09end")
    assert.equal([[{"p":"***"}]], masker:apply [[{"p":"p/w+d \"q\"\\\n\tend"}]])
    assert.equal("***", masker:apply "p/w+d \"q\"\\\n\tend")
    add "a/b+c/d"
    assert.equal("x=***", masker:apply "x=a%2fb%2bc%2fd")
  end)

  it("takes text and opened secrets that were added twice", function()
    assert.is_true(masker:add "plain text")
    assert.is_true(masker:add "plain text")
    assert.equal("***", masker:apply "plain text")
    assert.has_error(function() masker:add({}) end)
    assert.has_error(function() masker:apply(nil) end)
    assert.has_error(function() masker:apply(secret.new("x", "S")) end)
  end)

  it("hides a hundred secrets in a megabyte, at once", function()
    local values, text = {}, {}
    for i = 1, 100 do
      values[i] = ("secret-%03d-%s"):format(i, ("x"):rep(i))
      assert.is_true(add(values[i]))
    end
    for i = 1, 10000 do text[i] = values[i % 100 + 1] .. (" "):rep(30) end
    local masked = masker:apply(table.concat(text))
    assert.equal(("***" .. (" "):rep(30)):rep(10000), masked)
  end)

  it("never lets one through that random bytes surround", function()
    local value = "tok-" .. ("%x"):format(math.random(1 << 40))
    add(value)
    for _ = 1, 500 do
      local parts = {}
      for i = 1, math.random(0, 20) do
        parts[i] = math.random() < 0.3 and value or value:sub(1, math.random(0, #value - 1))
      end
      assert.is_nil(masker:apply(table.concat(parts)):find(value, 1, true))
    end
  end)
end)
