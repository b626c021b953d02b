local json = require "orch.json"
local proc = require "orch.proc"
local support = require "e2e.support"

describe("a run that asks", function()
  local scratch
  before_each(function() scratch = support.scratch() end)
  after_each(function() scratch:remove() end)

  local function orch(...) return scratch:orch { ... } end

  it("may have several lines", function()
    local path = scratch:job [[job:ask { "go", question = "Release 1.1?\n- mend\7 f\n- add g" }]]
    local plan = orch("plan", path).out
    assert.matches("\n  ask  Release 1.1?\n      id = go\n", plan, 1, true)
    local out = orch("run", path).out
    assert.matches("-- Release 1.1?  (", out, 1, true)
    assert.matches("\n   ? Release 1.1?\n     - mend\\x07 f\n     - add g  (yes/no)", out, 1, true)
  end)

  it("waits on hold for an answer, given in each way", function()
    local path = scratch:job [[local yes = job:ask { "deploy", question = "Deploy?" }
local version = job:ask { id = "version", type = "string", pattern = "%d+%.%d+" }
job:log("going with %s %s", tostring(yes), version)]]
    local result = orch("run", path)
    assert.equal(5, result.code)
    assert.matches("run 1 is on hold: it asks 'deploy': Deploy%?", result.err)
    assert.matches("orch answer 1 deploy yes && orch resume 1", result.err, 1, true)
    assert.equal("hold", json.decode(orch("runs", "--json").out)[1].state)
    assert.matches("nothing to remove", orch("gc", "--keep", "0", "--days", "0").out)
    assert.equal(5, orch("resume", "1").code)
    assert.equal(0, orch("answer", "1", "deploy", "yes").code)
    assert.matches("it asks 'version'", orch("resume", "1").err)
    local wrong = orch("resume", "1", "--answer", "version=x")
    assert.equal(2, wrong.code, wrong.all)
    assert.matches("version", wrong.err)
    local good = orch("resume", "1", "--answer", "version=1.4")
    assert.equal(0, good.code, good.all)
    assert.matches("going with true 1.4", good.out)
    good = orch("run", path, "--answer", "deploy=yes", "--answer", "version=2.0")
    assert.equal(0, good.code, good.all)
    local no = orch("run", path, "--answer", "deploy=no")
    assert.equal(1, no.code)
    assert.matches("not approved: Deploy%?", no.err)
    assert.equal(2, orch("run", path, "--answer", "deploy").code)
    -- A script tells it from what failed, and from what else is missing.
    local held = orch("run", path, "--format", "json")
    assert.equal(5, held.code)
    assert.is_true(json.decode(held.err).error.hold)
  end)

  it("tidies nothing up while it waits for an answer", function()
    local path = scratch:job [[job:run { name = "tidy", "echo tidied", when = "always" }
job:defer(function() job:log "put away" end)
job:ask "go"]]
    local waiting = orch("run", path)
    assert.matches("run 1 is on hold", waiting.err)
    assert.is_nil(waiting.out:find("tidied", 1, true) or waiting.out:find("put away", 1, true),
      waiting.out)
    local good = orch("resume", "1", "--answer", "go=yes")
    assert.equal(0, good.code, good.all)
    assert.matches("put away.*tidied", good.out)
  end)

  it("keeps no code that was asked for", function()
    local path = scratch:job [[local code = job:ask { id = "mfa", type = "code" }
job:run { "test ${#MFA} = 9", environment = { MFA = code } } job:log("the code is %s", code)
job:run "test -e ready"]]
    assert.equal(5, orch("run", path).code)
    assert.equal(0, orch("answer", "1", "mfa", "918273645").code)
    local result = orch("resume", "1")
    assert.equal(1, result.code, result.all)
    assert.matches("exit code 1", result.err)
    assert.is_nil(result.all:find("918273645", 1, true))
    local found = assert(proc.run { argv = { "grep", "-rlF", "918273645", scratch:path("state") } })
    assert.equal("", found.stdout)
  end)
end)
