local credentials = require "orch.docker.credentials"
local fs = require "orch.fs"
local hash = require "orch.hash"
local json = require "orch.json"
local secret = require "orch.secret"

describe("the logins for registries", function()
  local dir, job, path_before

  local function config(settings) assert(fs.write(dir .. "/config.json", json.encode(settings))) end

  -- What would be sent, as the daemon reads it.
  local function sent(credential)
    local header = credentials.header(credential)
    local out = dir .. "/header"
    assert(fs.write(out, header))
    local text = assert(fs.read(out))
    assert.matches("^[%w_=-]+$", text)
    assert.equal(0, #text % 4)
    return json.decode(assert(hash.unbase64(text, "url")))
  end

  local function helper(name, script)
    assert(fs.write(dir .. "/docker-credential-" .. name, "#!/bin/sh\n" .. script,
      { mode = tonumber("755", 8) }))
  end

  local function auth(user, password) return { auth = hash.base64(user .. ":" .. password) } end

  before_each(function()
    dir = assert(fs.make_temp("/tmp/orch-spec-"))
    job = { env = { DOCKER_CONFIG = dir, DOCKER_AUTH_CONFIG = "" }, masked = {}, secret_names = {} }
    function job:mask(value) self.masked[#self.masked + 1] = value end
    path_before = nil
  end)
  after_each(function() assert(fs.remove(dir)) end)

  it("are none where nothing is said", function()
    assert.is_nil(credentials.for_host(job, "r.example"))
    for _, nothing in ipairs { "", "\n", "{}" } do
      assert(fs.write(dir .. "/config.json", nothing))
      assert.is_nil(credentials.for_host(job, "r.example"))
    end
    assert.same({}, sent(nil))
    assert.equal("e30=", credentials.header(nil))
  end)

  it("come from config.json, by host and for that host only", function()
    config { auths = { ["r.example:5000"] = auth("me", "pass:wörd-1"),
      ["https://other.example/v1/"] = auth("you", "x-x-x-x"),
      ["https://index.docker.io/v1/"] = auth("hub", "hub-pass"), ["empty.example"] = {} } }
    local found = credentials.for_host(job, "r.example:5000")
    assert.equal("me", found.username)
    assert.is_true(secret.is(found.password))
    assert.same({ username = "me", password = "pass:wörd-1", serveraddress = "r.example:5000" },
      sent(found))
    assert.is_true(#job.masked > 0)
    assert.equal("you", credentials.for_host(job, "https://other.example/v2/").username)
    assert.is_nil(credentials.for_host(job, "r.example"))
    assert.is_nil(credentials.for_host(job, "r.example:5001"))
    assert.is_nil(credentials.for_host(job, "empty.example"))
    for _,
      name in ipairs { "docker.io", "index.docker.io", "registry-1.docker.io",
      "https://index.docker.io/v1/" } do
      assert.equal("https://index.docker.io/v1/",
        sent(credentials.for_host(job, name)).serveraddress)
    end
  end)

  it("may be identity and registry tokens", function()
    config { auths = { ["i.example"] = { auth = hash.base64("me:"), identitytoken = "token-token" },
      ["b.example"] = { registrytoken = "bearer-bearer" } } }
    assert.same({ identitytoken = "token-token" }, sent(credentials.for_host(job, "i.example")))
    assert.same({ registrytoken = "bearer-bearer" }, sent(credentials.for_host(job, "b.example")))
  end)

  it("that cannot be read are an error, which does not show them", function()
    config { auths = { ["r.example"] = { auth = hash.base64("no colon, but a word") } } }
    local good, failure = pcall(credentials.for_host, job, "r.example")
    assert.is_false(good)
    assert.equal("auth", failure.kind)
    assert.matches("config.json", failure.message)
    assert.is_nil(failure.message:find("colon, but", 1, true))
    assert(fs.write(dir .. "/config.json", "[1"))
    good, failure = pcall(credentials.for_host, job, "r.example")
    assert.is_false(good)
    assert.equal("usage", failure.kind)
  end)

  it("come from DOCKER_AUTH_CONFIG before the file", function()
    config { auths = { ["r.example"] = auth("file", "x-x-x-x"),
      ["s.example"] = auth("file", "x-x-x-x") } }
    job.env.DOCKER_AUTH_CONFIG =
      json.encode { auths = { ["r.example"] = auth("variable", "y-y-y-y") } }
    assert.equal("variable", credentials.for_host(job, "r.example").username)
    assert.equal("file", credentials.for_host(job, "s.example").username)
    job.env.DOCKER_AUTH_CONFIG = "{"
    local good, failure = pcall(credentials.for_host, job, "r.example")
    assert.is_false(good)
    assert.matches("DOCKER_AUTH_CONFIG", failure.message)
  end)

  it("that were given are for their host only", function()
    local given = { registry = "https://r.example/v2/", username = "me", password = "given-given",
      expires = 1 }
    assert.same({ username = "me", password = "given-given", serveraddress = "r.example" },
      sent(credentials.choose(job, given, "r.example", "r.example/x")))
    local good, failure = pcall(credentials.choose, job, given, "evil.example", "evil.example/x")
    assert.is_false(good)
    assert.equal("usage", failure.kind)
    assert.matches("is for https://r.example/v2/, but evil.example/x goes to evil.example",
      failure.message)
    good, failure = pcall(credentials.choose, job, { username = "me" }, "r.example", "r.example/x")
    assert.is_false(good)
    assert.matches("whose it is", failure.message)
  end)

  it("that are kept come first, in their job only", function()
    config { auths = { ["r.example"] = auth("file", "x-x-x-x") } }
    credentials.keep(job,
      credentials.bind(job, { registry = "r.example", username = "kept", password = "p-p-p-p" }))
    assert.equal("kept", credentials.for_host(job, "r.example").username)
    local other = setmetatable({}, { __index = job })
    assert.equal("file", credentials.for_host(other, "r.example").username)
  end)

  describe("of helpers", function()
    local fake_path
    before_each(function()
      fake_path = dir .. ":" .. os.getenv("PATH")
      -- The helper is looked up in the PATH of its own environment.
      local real = fs.environment
      path_before = real
      fs.environment = function()
        local all = real()
        all.PATH = fake_path
        return all
      end
    end)
    after_each(function() fs.environment = path_before end)

    it("are asked for by the server's name, and remembered", function()
      helper("one", ('read -r server; echo "$1 $server" >> %s/asked; '):format(dir)
        .. [[printf '{"ServerURL":"x","Username":"me","Secret":"of-helper"}']])
      helper("all", ('printf "%%s" "$(cat)" >> %s/asked; '):format(dir)
        .. [[printf '{"ServerURL":"x","Username":"<token>","Secret":"identity-token"}']])
      config { credHelpers = { ["r.example:5000"] = "one" }, credsStore = "all",
        auths = { ["r.example:5000"] = {} } }
      assert.same({ username = "me", password = "of-helper", serveraddress = "r.example:5000" },
        sent(credentials.for_host(job, "r.example:5000")))
      credentials.for_host(job, "r.example:5000")
      assert.same({ identitytoken = "identity-token" },
        sent(credentials.for_host(job, "docker.io")))
      assert.equal("get r.example:5000\nhttps://index.docker.io/v1/", fs.read(dir .. "/asked"))
    end)

    it("that know no login leave it to the file", function()
      helper("none", "echo 'credentials not found in native keychain'; exit 1")
      config { credsStore = "none", auths = { ["r.example"] = auth("file", "x-x-x-x") } }
      assert.equal("file", credentials.for_host(job, "r.example").username)
      assert.is_nil(credentials.for_host(job, "s.example"))
    end)

    it("are not asked for a host that has none named", function()
      helper("all", [[echo '{"Username": "u", "Secret": "of the helper"}']])
      config { credsStore = "all", credHelpers = { ["r.example"] = "" },
        auths = { ["r.example"] = auth("me", "of the file") } }
      assert.equal("of the file", sent(credentials.for_host(job, "r.example")).password)
      assert.equal("of the helper", sent(credentials.for_host(job, "other.example")).password)
    end)

    it("that are missing or broken are errors", function()
      helper("broken", "echo 'the keychain is locked'; exit 3")
      helper("odd", "echo 'Secret-Secret-Secret'")
      helper("nobody", [[printf '{"Username":"","Secret":"Secret-Secret"}']])
      helper("half", [[printf '{"Username":"me","Secret":"Secret-Secret"}'; exit 1]])
      helper("endless", "while :; do echo Secret-Secret-Secret-Secret-Secret-Secret; done")
      for name,
        words in pairs { nowhere = "cannot be run", broken = "exit code 3: the keychain is locked",
        odd = "no answer", nobody = "no answer", half = "exit code 1: words that may hold a secret",
        endless = "failed: the program printed more than", ["../x"] = "no name of a program" } do
        config { credsStore = name }
        local good, failure = pcall(credentials.for_host, job, "r.example")
        assert.is_false(good, name)
        assert.is_truthy(failure.message:find(words, 1, true), failure.message)
        assert.is_truthy(failure.message:find(dir .. "/config.json", 1, true))
        assert.is_nil(failure.message:find("Secret-Secret", 1, true))
      end
    end)

    it("that give no answer are not waited for without end", function()
      helper("hangs", "sleep 60")
      config { credsStore = "hangs" }
      local proc = require "orch.proc"
      local real = proc.run
      local _ <close> = setmetatable({}, { __close = function() proc.run = real end })
      proc.run = function(spec)
        assert.equal(60, spec.timeout)
        spec.timeout = 0.1
        return real(spec)
      end
      local good, failure = pcall(credentials.for_host, job, "r.example")
      assert.is_false(good)
      assert.equal("timeout", failure.kind)
      assert.matches("gave no answer within 60 s; does it wait for somebody?", failure.message, 1,
        true)
    end)

    it("that do not read what they are asked are heard all the same", function()
      helper("deaf", [[printf '{"Username":"me","Secret":"of-helper"}']])
      config { credsStore = "deaf" }
      assert.equal("me", credentials.for_host(job, "r.example").username)
    end)

    it("are given a login to write", function()
      helper("keeper", ('echo "$1" > %s/kept; cat >> %s/kept'):format(dir, dir))
      config { credHelpers = { ["r.example"] = "keeper" } }
      local login = credentials.bind(job,
        { registry = "r.example", username = "me", password = "p-p-p-p" })
      assert.equal("docker-credential-keeper", credentials.write(job, login))
      local action, text = fs.read(dir .. "/kept"):match("^(%a+)\n(.*)$")
      assert.equal("store", action)
      assert.same({ ServerURL = "r.example", Username = "me", Secret = "p-p-p-p" },
        json.decode(text))
    end)
  end)

  it("that are refused are told by their source, or that there are none", function()
    config { auths = { ["r.example"] = auth("me", "x-x-x-x") } }
    local function hint(login)
      return credentials.blame(job, { kind = "auth" }, login, "r.example").hint
    end
    assert.equal(("the login of 'me' is from %s/config.json: is it right, may it do this, has it expired?"):format(dir),
      hint(credentials.for_host(job, "r.example")))
    assert.matches("from option auth.*12 hours old",
      hint(credentials.choose(job,
        { registry = "r.example", username = "AWS", password = "p-p-p-p" }, "r.example", "x")))
    assert.matches("there is no login for r.example: .*`docker login r.example`", hint(nil))
    assert.is_nil(credentials.blame(job, { kind = "net" }, nil, "r.example").hint)
  end)

  it("are looked for in a config.json of any shape", function()
    assert(fs.write(dir .. "/config.json", '{"auths": ["x"], "credsStore": 7, "credHelpers": "y"}'))
    assert.is_nil(credentials.for_host(job, "r.example"))
    assert(fs.write(dir .. "/config.json",
      '{"auths": {"r.example": "x"}, "credHelpers": {"r.example": {}}}'))
    assert.is_nil(credentials.for_host(job, "r.example"))
  end)

  it("are written into config.json beside what is there, for their owner only", function()
    config { auths = { ["a.example"] = auth("a", "a-a-a-a") }, currentContext = "far",
      plugins = json.null }
    credentials.write(job,
      credentials.bind(job, { registry = "docker.io", username = "me", password = "p-p-p-p" }))
    local written = json.decode(fs.read(dir .. "/config.json"))
    assert.same(auth("a", "a-a-a-a"), written.auths["a.example"])
    assert.same(auth("me", "p-p-p-p"), written.auths["https://index.docker.io/v1/"])
    assert.equal("far", written.currentContext)
    assert.equal(tonumber("600", 8), fs.stat(dir .. "/config.json").mode)
    assert.equal("me", credentials.for_host(job, "docker.io").username)
  end)
end)
