local json = require "orch.json"
local proc = require "orch.proc"
local fs = require "orch.fs"
local support = require "e2e.support"
local task = require "orch.task"

local PYTHON <const> = "/usr/bin/python3" -- Debian's, which has Debian's modules

local ASKING <const> = [[
local orch = require "orch"
return orch.job { name = "job", run = function(job)
  orch.all {
    a = function() job:log("a got %s", job:ask { "stage", type = "string", enum = { "test", "live" }, default = "test" }) end,
    b = function() job:log("b got %d", job:ask { "count", question = "How many?", type = "integer", min = 1, max = 5 }) end,
    c = function() job:log("c got %s", job:ask { "mfa", type = "code" }) end,
  }
end }]]

describe("a question", function()
  local scratch, path
  before_each(function()
    scratch = support.scratch()
    path = scratch:write("r.lua", ASKING)
  end)
  after_each(function() scratch:remove() end)

  local function orch(...) return scratch:orch { ... } end

  -- What a person sees who runs it in a terminal and does these things.
  local function see(actions, args)
    local environment = fs.environment()
    environment.ORCH_STATE, environment.TMPDIR = scratch:path("state"), scratch:path("tmp")
    environment.LANG, environment.LC_ALL, environment.TERM = "C.UTF-8", nil, "xterm"
    local result =
      assert(proc.run { argv = { PYTHON, support.root .. "/tests/e2e/screen.py", "100x40", actions,
      "--",
      support.orch, table.unpack(args) }, env = environment, timeout = 60 })
    assert.equal(0, result.code, result.stdout)
    local seen = json.decode(result.stdout)
    seen.text = table.concat(seen.all, "\n")
    return seen
  end

  local function answered(text, pattern)
    assert.matches(pattern, text)
    assert.is_nil(text:find("hunter2222", 1, true))
  end

  it("is asked one after the other at a terminal, again after what is no answer, and hides codes",
    function()
    local seen =
      see("wait:?_stage type:prod\\r wait:must_be_one type:\\r wait:How_many type:9\\r wait:at_most_5 type:4\\r "
      .. "wait:?_mfa type:hunter2222\\r", { "run", path })
    assert.equal(0, seen.code, seen.text)
    answered(seen.text,
      "%? stage  %(test/live, Enter: test%)\nprod\n  answer: 'stage' must be one of test, live, got 'prod'\n%? stage")
    answered(seen.text, "a got test")
    answered(seen.text, "b got 4")
    answered(seen.text, "c got %*%*%*")
    local _, asked = seen.text:gsub("%? How many%?", "")
    assert.equal(2, asked)
  end)

  it("leaves a run on hold that nobody answers, and lists itself", function()
    assert.equal(5, orch("run", path).code)
    assert.equal("count  How many?  (whole number)\nmfa    (code)\nstage    (test/live, Enter: test)\n", orch("answer", "1").out)
    local list = json.decode(orch("answer", "1", "--json").out)
    assert.same({ "count", "mfa", "stage" }, { list[1].id, list[2].id, list[3].id })
    local wrong = orch("answer", "1", "coutn", "3")
    assert.equal(5, wrong.code)
    assert.matches("run 1 does not ask 'coutn'; did you mean 'count'%?", wrong.err)
    wrong = orch("answer", "1", "count", "9")
    assert.equal(2, wrong.code)
    assert.matches("'count' must be at most 5, got '9'", wrong.err)
    assert.matches("go on with: orch resume 1", orch("answer", "1", "count", "3").out)
    assert.equal("mfa", json.decode(orch("answer", "1", "--json").out)[1].id)
  end)

  it("takes a code from the standard input, or unseen from a terminal", function()
    assert.equal(5, orch("run", path, "--answer", "stage=live", "--answer", "count=1").code)
    local piped =
      assert(proc.run { argv = { support.orch, "answer", "1", "mfa" }, input = "hunter2222\n",
      env = { ORCH_STATE = scratch:path("state"), HOME = os.getenv "HOME" } })
    assert.equal(0, piped.code, piped.stdout)
    local resumed = orch("resume", "1", "--answer", "stage=live", "--answer", "count=1")
    assert.equal(0, resumed.code, resumed.all)
    answered(resumed.out, "c got %*%*%*")
    assert.equal(5, orch("run", path, "--answer", "stage=live", "--answer", "count=1").code)
    local seen = see("wait:mfa_(code): type:hunter2222\\r", { "answer", "2", "mfa" })
    assert.equal(0, seen.code, seen.text)
    answered(seen.text, "mfa %(code%):\nnoted; go on with: orch resume 2")
  end)

  it("gives way when it is answered in another terminal", function()
    local child = scratch:start { "run", path, "--answer", "stage=test", "--answer",
      "mfa=hunter2222" }
    child:wait()
    assert.equal(0, orch("answer", "1", "count", "2").code)
    local other = task.spawn(function()
      for _ = 1, 500 do
        if orch("answer", "2", "count", "2").code == 0 then return end
        task.sleep(0.02)
      end
    end)
    local seen = see("pause:0.1",
      { "run", path, "--answer", "stage=test", "--answer", "mfa=hunter2222" })
    other:join()
    assert.equal(0, seen.code, seen.text)
    answered(seen.text, "b got 2")
  end)

  it("leaves the terminal as it was after Ctrl-C", function()
    local seen = see("wait:?_stage type:\\r wait:How_many type:1\\r wait:?_mfa type:\\x03",
      { "run", path })
    assert.equal(130, seen.code, seen.text)
    assert.matches("cancelled by Ctrl%-C", seen.text)
    assert.is_true(seen.echo)
  end)
end)
