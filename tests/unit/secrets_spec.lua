local fs = require "orch.fs"
local secret = require "orch.secret"
local secrets = require "orch.secrets"

describe("secrets", function()
  local dir, masker, warnings
  before_each(function()
    dir, masker, warnings = assert(fs.make_temp("/tmp/orch-spec-")), secret.masker(), {}
  end)
  after_each(function() assert(fs.remove(dir)) end)

  local function read(given)
    return secrets.read("j", secrets.declared("j", given), dir, masker, function(text)
      warnings[#warnings + 1] = text
    end)
  end

  -- What it holds, as only the masker can tell.
  local function hidden(text) return masker:apply(text) == "***" end

  local function refused(kind, pattern, given)
    local good, failure = pcall(read, given)
    assert.is_false(good)
    assert.equal(kind, failure.kind, failure.message)
    assert.matches(pattern, failure.message)
  end

  it("come from a file, without the last line's end", function()
    assert(fs.write(dir .. "/token", "from-a-file\n"))
    local values = read { T = { file = "token" } }
    assert.same({ true, "T", 11 },
      { secret.is(values.T), secret.name(values.T), secret.len(values.T) })
    assert.is_true(hidden "from-a-file")
    assert.equal(11, secret.len(read { T = { file = dir .. "/token" } }.T))
  end)

  it("come from a file of variables", function()
    assert(fs.write(dir .. "/.env", "A=from-dot-env\nexport OTHER='an other one'\n"))
    local values = read { A = { env_file = ".env" }, B = { env_file = ".env", key = "OTHER" } }
    assert.same({ 12, 12 }, { secret.len(values.A), secret.len(values.B) })
    assert.is_true(hidden "an other one")
    refused("auth", "'j' needs the secret C %(C: .*%.env does not set it%)",
      { C = { env_file = ".env" } })
  end)

  it("come from a command, run in the project", function()
    local values = read { T = { command = { "/bin/sh", "-c", "echo from-command; pwd >&2" } } }
    assert.equal(12, secret.len(values.T))
    assert.is_true(hidden "from-command")
    refused("auth", "/bin/sh: exit code 3: no such entry%)",
      { T = { command = { "/bin/sh", "-c", "echo no such entry >&2; exit 3" } } })
    refused("auth", "its command printed nothing", { T = { command = { "true" } } })
    refused("auth", "no%-such%-program", { T = { command = { "no-such-program" } } })
  end)

  it("come from the environment, under their own name or another", function()
    local values = read { "PATH", P = { env = "PATH" } }
    assert.equal(secret.len(values.PATH), secret.len(values.P))
    assert.same({ "PATH", "P", "PATH" },
      secrets.hidden(secrets.declared("j", { "PATH", P = { env = "PATH" } })))
    refused("auth", "needs the secrets NO_SUCH_A, NO_SUCH_B$", { "NO_SUCH_A", "NO_SUCH_B" })
  end)

  it("may be absent", function()
    assert.same({},
      read { "NO_SUCH?", F = { file = "none", optional = true },
      C = { command = { "false" }, optional = true } })
  end)

  it("warn when they are too short to be hidden", function()
    assert(fs.write(dir .. "/token", "abc"))
    read { T = { file = "token" } }
    assert.same({ "the secret T is too short to be hidden: it will show in what is printed" },
      warnings)
  end)

  it("are refused when their declaration is wrong", function()
    refused("usage", "'A B' is no name of a variable", { "A B" })
    refused("usage", "is no name of a variable", { 3 })
    refused("usage", "'A' twice", { "A", A = { file = "x" } })
    refused("usage", "secret 'A' needs one of command, env, env_file, file", { A = {} })
    refused("usage", "secret 'A' needs one of", { A = { file = "x", env = "y" } })
    refused("usage", "unknown option 'fiel'; did you mean 'file'", { A = { fiel = "x" } })
    refused("usage", "expected a table", { A = "x" })
  end)
end)
