-- What a hostile or unlucky program may do to get a secret past the masker.
local hash = require "orch.hash"
local secret = require "orch.secret"
local term = require "orch.term"

local function masker(...)
  local m = secret.masker()
  for _, value in ipairs { ... } do assert.is_true(m:add(secret.new(value, "S"))) end
  return m
end

local function byte_by_byte(m, text)
  local s, out = m:stream(), {}
  for i = 1, #text do out[i] = s:feed(text:sub(i, i)) end
  return table.concat(out) .. s:flush()
end

local function masks(m, text, expected)
  assert.equal(expected, m:apply(text))
  assert.equal(expected, byte_by_byte(m, text))
end

local function hex(text, format)
  return (text:gsub(".", function(c) return format:format(c:byte()) end))
end

describe("mask, attacked,", function()
  it("keeps apart two programs that print in turns", function()
    local m = masker "hunter22"
    local a, b, out_a, out_b = m:stream(), m:stream(), {}, {}
    for i = 1, 8 do
      out_a[i] = a:feed(("hunter22"):sub(i, i))
      out_b[i] = b:feed(("hunter21"):sub(i, i))
    end
    assert.same({ "***", "hunter21" },
      { table.concat(out_a) .. a:flush(), table.concat(out_b) .. b:flush() })
    -- what one has held back is not the beginning of what another one prints
    a:feed "hunt"
    assert.equal("er22", b:feed "er22" .. b:flush())
    assert.equal("hunt", a:flush())
  end)

  it("hides a secret that begins, ends or holds another one", function()
    local m = masker("pass", "password", "word", "sswo")
    masks(m, "password", "***")
    masks(m, "pass", "***")
    masks(m, "passwor", "***r")
    masks(m, "xpasswordx passx wordx sswox", "x***x ***x ***x ***x")
    masks(m, "passpasswordword", "*********")
  end)

  it("takes no character for a pattern", function()
    local value = "a.*[^b](c|d)+?$^%w{2}\\\\Q"
    local m = masker(value)
    masks(m, "<" .. value .. ">", "<***>")
    masks(m, "axx[^b](c|d)+?$^%w{2}\\\\Q", "axx[^b](c|d)+?$^%w{2}\\\\Q")
  end)

  it("finds a value with and without the end of line that its file has", function()
    for _, ending in ipairs { "\n", "\r\n", "\n\n", " \t\n" } do
      local m = masker("hunter22" .. ending)
      masks(m, "a hunter22 b", "a *** b")
      masks(m, "a hunter22" .. ending .. "b", "a ***b")
      masks(m, "hunter22", "***")
    end
  end)

  it("finds the lines of a value with other ends of line", function()
    for _, pair in ipairs { { "\n", "\r\n" }, { "\r\n", "\n" } } do
      local m = masker("first line" .. pair[1] .. "second line" .. pair[1])
      assert.is_nil(m:apply("first line" .. pair[2] .. "second line" .. pair[2]):find("line"))
      assert.is_nil(byte_by_byte(m, "first line" .. pair[2] .. "second line"):find("line"))
    end
  end)

  it("finds what is no ASCII, cut within a character", function()
    local value = "pässwörd-日本😀"
    local m = masker(value)
    masks(m, "ü" .. value .. "ü", "ü***ü")
    masks(m, '"p\\u00e4ssw\\u00f6rd-\\u65e5\\u672c\\ud83d\\ude00"', '"***"')
    masks(m, '"p\\u00E4ssw\\u00F6rd-\\u65E5\\u672C\\uD83D\\uDE00"', '"***"')
    masks(m, "p%C3%A4ssw%C3%B6rd-%E6%97%A5%E6%9C%AC%F0%9F%98%80", "***")
    masks(m, "p%c3%a4ssw%c3%b6rd-%e6%97%a5%e6%9c%ac%f0%9f%98%80", "***")
    masks(m, value:sub(1, 2), value:sub(1, 2)) -- a character's half, kept back and given at the end
  end)

  it("finds it with colours in it, which are taken out when it is shown", function()
    local m = masker("hunter22", "two\27[1mfold")
    masks(m, "a \27[1mhu\27[01;31m\27[Knter\27[m\27[K22\27[0m b", "a \27[1m***\27[0m b")
    masks(m, "h\27[mu\27[mn\27[mt\27[me\27[mr\27[m2\27[m2", "***")
    masks(m, "two\27[1mfold two\27[1m\27[2mfold", "*** ***")
    masks(m, "hun\27ter22 hunt\27[er22 hun\27[3", "hun\27ter22 hunt\27[er22 hun\27[3")
    masks(masker("a/ b"), "a%2F\27[1m%20b a\27[1m%2Fc", "*** a\27[1m%2Fc")
    -- no longer a sequence: what shows it, shows its bytes
    local long = "hunter\27[" .. ("1"):rep(130) .. "m22"
    assert.equal(long, m:apply(long))
    assert.matches("hunter\\x1b[1", term.printable(long), 1, true)
  end)

  it("holds back no endless row of colours", function()
    local s = masker("hunter22"):stream()
    assert.equal("", s:feed("hunter2" .. ("\27[m"):rep(60)))
    assert.equal(7 + 3 * 90, #s:feed(("\27[m"):rep(30)))
  end)

  it("finds it in digits, small and large, as bytes and as percent signs", function()
    local value = "k/Y \xff\1z~"
    local m = masker(value)
    masks(m, "x " .. hex(value, "%02x") .. " y", "x *** y")
    masks(m, "x " .. hex(value, "%02X") .. " y", "x *** y")
    -- letters and digits are escaped by nobody
    masks(m, (value:gsub("[^%w]", function(c) return ("%%%02x"):format(c:byte()) end)), "***")
    masks(m, (value:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end)), "***")
  end)

  it("learns a token of 4 KiB while a stream goes on, whole or cut into lines of base64", function()
    math.randomseed(3)
    local bytes = {}
    for i = 1, 3072 do bytes[i] = string.char(math.random(0, 255)) end
    local token = hash.base64(table.concat(bytes))
    local m = masker "hunter22"
    local s = m:stream()
    assert.equal("login ", s:feed "login ")
    m:add(secret.new(token, "T"))
    local out = {}
    for at = 1, #token, 100 do out[#out + 1] = s:feed(token:sub(at, at + 99)) end
    out[#out + 1] = s:feed "\nhunter22\n"
    assert.equal("***\n***\n", table.concat(out))
    for _, columns in ipairs { 64, 76 } do
      masks(m, token:gsub(("."):rep(columns), "%0\n"):gsub("\n$", "") .. "\nend\n", "***\nend\n")
    end
    local encoded = hash.base64("AWS:" .. token)
    assert.is_true(#m:apply(encoded) < 12, m:apply(encoded))
  end)

  it("holds back only what may begin a secret", function()
    local m = masker("hunter22", "}\n{\nabcdef")
    local s = m:stream()
    assert.equal("hello h", s:feed "hello ha":sub(1, 7))
    s:flush()
    assert.equal("a", s:feed "ah")
    assert.equal("hux", s:feed "ux")
    assert.equal("", s:feed "hunter2")
    assert.equal("hunter23", s:feed "3")
  end)

  it("leaves braces, short lines and headers of keys readable", function()
    local m = masker('{\n  "private_key": "-----BEGIN PRIVATE KEY-----",\n  "a": 1\n}\n')
    masks(m, '{ "a": 1 }\n}\n{\n', '{ "a": 1 }\n}\n{\n')
    m = masker "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA7\n-----END RSA PRIVATE KEY-----\n"
    masks(m, "-----BEGIN RSA PRIVATE KEY-----\n", "-----BEGIN RSA PRIVATE KEY-----\n")
    masks(m, "key MIIEowIBAAKCAQEA7.", "key ***.")
  end)
end)
