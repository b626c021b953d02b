local fs = require "orch.fs"
local hash = require "orch.hash"
local proc = require "orch.proc"
local secret = require "orch.secret"
local task = require "orch.task"

local function bytes(n)
  return hash.random(n, "raw")
end

local function temporary(content)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "wb"))
  file:write(content)
  finally(function() os.remove(path) end)
  return path
end

describe("hash digests", function()
  it("agree with the published values", function()
    assert.equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      hash.sha256 "abc")
    assert.equal("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", hash.sha256 "")
    assert.equal(hash.sha256 "abc", hash.hex(hash.sha256("abc", "raw")))
    -- RFC 4231, case 2
    assert.equal("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
      hash.hmac_sha256("Jefe", "what do ya want for nothing?"))
    assert.equal(32, #hash.hmac_sha256(secret.new("k", "K"), secret.new("d", "D"), "raw"))
    assert.equal(hash.hmac_sha256("k", ""), hash.hmac_sha256(secret.new("k", "K"), ""))
    assert.has_error(function() hash.hmac_sha256 "" end)
    assert.has_error(function() hash.sha256("", "base32") end)
  end)

  it("gives random bytes", function()
    assert.equal(32, #hash.random(16))
    assert.equal(16, #hash.random(16, "raw"))
    assert.not_equal(hash.random(16), hash.random(16))
    assert.equal("", hash.random(0))
    assert.has_error(function() hash.random((1 << 20) + 1) end)
    assert.has_error(function() hash.random(-1) end)
  end)
end)

describe("hash.base64", function()
  it("agrees with RFC 4648", function()
    for data, text in pairs { [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", foob = "Zm9vYg==",
      fooba = "Zm9vYmE=", foobar = "Zm9vYmFy" } do
      assert.equal(text, hash.base64(data))
      assert.equal(data, hash.unbase64(text))
    end
    assert.equal("-__-", hash.base64("\xfb\xff\xfe", "url"))
    assert.equal("+//+", hash.base64("\xfb\xff\xfe"))
    assert.equal("e30=", hash.base64("{}", "url"))
  end)

  it("brings everything back", function()
    for len = 0, 200 do
      local data = bytes(len)
      assert.equal(data, hash.unbase64(hash.base64(data)))
      assert.equal(data, hash.unbase64(hash.base64(data, "url"), "url"))
      assert.equal(data, hash.unbase64((hash.base64(data, "url"):gsub("=", "")), "url"))
      assert.equal(data, hash.unbase64((hash.base64(data):gsub("....", "%0\r\n "))))
      assert.equal(data, hash.unhex(hash.hex(data)))
    end
    assert.equal("\xab\xcd", hash.unhex "aBCd")
  end)

  it("is strict", function()
    for _,
      text in ipairs { "Z", "Zg", "Zg=", "Zg===", "Zm9", "Zm9=v", "=", "Z===", "====", "Zh==",
      "Zm9=",
      "Zm9vZ", "-__-", "Zg==Zg==", "Zm9v=", "Z!==", "Zm9v\0", "Zm9v\xff" } do
      local data, err = hash.unbase64(text)
      assert.is_nil(data)
      assert.equal("usage", err.kind)
    end
    for _, text in ipairs { "+//+", "Z", "Zg=", "Zh" } do
      assert.is_nil((hash.unbase64(text, "url")))
    end
    for _, text in ipairs { "a", "0g", "a ", "zz" } do
      assert.is_nil((hash.unhex(text)))
    end
    assert.has_error(function() hash.base64("", "uri") end)
  end)

  it("survives garbage", function()
    for _ = 1, 5000 do
      local text = bytes(math.random(0, 40))
      hash.unbase64(text)
      hash.unbase64(text, "url")
      hash.unhex(text)
    end
  end)

  it("gives a secret for a secret, with its name", function()
    local password = secret.new("hunter2", "PASS")
    for _,
      form in ipairs { hash.base64(password), hash.base64(password, "url"), hash.hex(password) } do
      assert.is_true(secret.is(form))
      assert.equal("PASS", secret.name(form))
      assert.equal("***", tostring(form))
    end
    local back = hash.unbase64(hash.base64(password))
    assert.is_true(secret.is(back))
    assert.equal(hash.sha256 "hunter2", hash.sha256(back))
    assert.equal(hash.sha256 "aHVudGVyMg==", hash.sha256(hash.base64(password)))
    assert.is_true(secret.is(hash.unhex(hash.hex(password))))
    local data, err = hash.unbase64(password)
    assert.is_nil(data)
    assert.not_matches("hunter", err.message)
  end)
end)

describe("secret.split", function()
  it("parts user and password without showing the password", function()
    local token = hash.unbase64(secret.new(hash.base64 "AWS:pass:word", "ECR_TOKEN"))
    local user, password = secret.split(token, ":")
    assert.equal("AWS", user)
    assert.equal("ECR_TOKEN", secret.name(password))
    assert.equal(9, secret.len(password))
    assert.equal(hash.sha256 "pass:word", hash.sha256(password))
    local head, tail = secret.split(secret.new("a--", "X"), "--")
    assert.equal("a", head)
    assert.equal(0, secret.len(tail))
  end)

  it("fails when the separator is absent", function()
    local head, err = secret.split(secret.new("hunter2", "PASS"), ":")
    assert.is_nil(head)
    assert.equal("usage", err.kind)
    assert.matches("PASS", err.message)
    assert.not_matches("hunter", err.message)
    assert.has_error(function() secret.split("a:b", ":") end)
    assert.has_error(function() secret.split(secret.new("a", "A"), "") end)
    assert.has_error(function() secret.len "a" end)
  end)
end)

describe("hash.file", function()
  it("hashes a file by blocks", function()
    local path <const> = os.tmpname()
    finally(function() os.remove(path) end)
    for _, data in ipairs { "", bytes(1 << 20):rep(2) .. "x" } do
      assert(fs.write(path, data))
      assert.equal(hash.sha256(data), hash.file(path))
    end
  end)

  it("leaves nothing behind at the end of the program", function() -- as a leak detector sees it
    local script = temporary "assert(require 'orch.hash'.file '/etc/hostname')"
    local orch = assert(fs.real_path "/proc/self/exe")
    local result = assert(proc.run { argv = { orch, "lua", script }, timeout = 60 })
    assert.equal(0, result.code, result.stdout)
  end)

  it("tells what it cannot read", function()
    local hex, err = hash.file "/nowhere/at/all"
    assert.is_nil(hex)
    assert.equal("missing", err.kind)
    hex, err = hash.file "/tmp"
    assert.is_nil(hex)
    assert.equal("usage", err.kind)
    hex, err = hash.file "/dev/zero"
    assert.is_nil(hex)
    assert.matches("regular", err.message)
    assert.has_error(function() hash.file {} end)
  end)

  it("is cancelled before and in flight", function()
    local path = temporary ""
    os.execute(("truncate -s 8G %s"):format(path)) -- sparse: takes seconds to read
    for _, wait in ipairs { 0, 0.02 } do
      local child = task.spawn(function() return hash.file(path) end)
      if wait > 0 then task.sleep(wait) end
      local began = os.clock()
      child:cancel "enough"
      local good, reason = child:join()
      assert.is_false(good)
      assert.equal("enough", reason.message)
      assert.is_true(os.clock() - began < 1)
    end
    local child = task.spawn(function() return hash.file "/etc/hostname" end)
    task.sleep(0.02)
    child:cancel "late"
    assert.is_true(child:join())
    assert.is_string(hash.file "/etc/hostname")
  end)
end)
