local fs = require "orch.fs"
local processes = require "e2e.processes"
local proc = require "orch.proc"
local support = require "e2e.support"
local terminal = require "e2e.terminal"

local SECRETS <const> = { TOKEN = "hunter2222", OTHER = "opensesame" }

-- Fails until somebody makes "mended". Its third step is the one.
local RECIPE <const> = [[
local orch = require "orch"
return orch.pipeline {
  params = { word = { "string", default = "given" } },
  orch.job { name = "first", run = function() return { made = "made" } end },
  orch.job { name = "test", needs = { "first" }, secrets = { "TOKEN", "OTHER" },
    environment = { OF_JOB = "of-the-job" }, run = function(job)
    job:run { "echo 'export OF_BASH_ENV=of-bash-env' >> $BASH_ENV; mkdir sub; echo once >> ran", name = "prepare" }
    job.env.OF_BODY = job.params.word .. job.needs.first.made .. job.pipeline.number
    job:run { "echo once >> background; echo up; exec sleep 1000", name = "server", background = true,
      ready = { log = "up" },
      environment = { MARKED = os.getenv "SPEC_MARK" } }
    orch.timeout(15, function()
      job:run { "test -e ../mended", name = "the tests", working_directory = "sub",
        environment = { OF_STEP = "of-the-step" }, secrets = { "TOKEN" }, when = "on_success" }
    end)
    job:run { "echo after > after", name = "after" }
  end },
}
]]

describe("a shell where a job failed", function()
  local scratch
  before_each(function()
    scratch = support.scratch(SECRETS)
    scratch.env.SPEC_MARK = scratch.dir:match("[^-]+$")
    scratch.env.PWD = "/" -- as of no step
  end)
  after_each(function() scratch:remove() end)

  local function fail()
    local result = scratch:orch { "run", scratch:write("recipe.lua", RECIPE) }
    assert.equal(1, result.code, result.all)
    return scratch:path("state/runs/1/jobs/test/work")
  end

  local function shell(...) return scratch:orch { "shell", ... } end

  -- All files of the run but its lock, with their contents; and what is on record.
  local function kept()
    local listed = assert(proc.run { argv = { "sh", "-c",
      "cd $1/runs && find . -name lock -prune -o -type f -exec md5sum {} + | sort", "sh",
      scratch:path("state") } })
    local runs = scratch:orch { "show", "1", "--json" }
    return listed.stdout .. runs.out
  end

  it("has the step's environment and directory, and its secrets only", function()
    local dir = fail()
    local script = 'pwd; echo "$OF_JOB $OF_BODY $OF_STEP $TOKEN,$OTHER,$CI,$PWD"; test $BASH_ENV = $TMPDIR/bash_env; '
      .. 'bash -c "echo \\$OF_BASH_ENV"; echo apart >&2; exit 9'
    local result = shell("1", "test", "--", "sh", "-c", script)
    assert.equal(9, result.code, result.all)
    assert.equal(dir .. "/sub\nof-the-job givenmade1 of-the-step hunter2222,,true," .. dir
      .. "/sub\nof-bash-env\n", result.out)
    assert.equal("apart\n", result.err)
    -- as the step itself has it, but for what the shell counts
    local step = ([[env -u _ -u SHLVL | sort > ../../%s; test -e ../mended]])
    scratch:write("recipe.lua", (RECIPE:gsub("test %-e %.%./mended", step:format "as_step")))
    assert.equal(1, scratch:orch({ "run", scratch:path("recipe.lua") }).code)
    result = shell("2", "test", "--", "bash", "-c", step:format "as_shell" .. " || true")
    assert.equal(0, result.code, result.all)
    local base = scratch:path("state/runs/2/jobs/test/")
    assert.equal(fs.read(base .. "as_step"), assert(fs.read(base .. "as_shell")))
  end)

  it("does nothing again that has succeeded, but what runs beside it, and records nothing", function()
    local dir = fail()
    local before = kept()
    local result = shell("test", "--", "true")
    assert.equal(0, result.code, result.all)
    assert.equal("once\n", fs.read(dir .. "/ran"))
    assert.equal("once\nonce\n", fs.read(dir .. "/background"))
    assert.is_nil(fs.stat(dir .. "/after"))
    fs.write(dir .. "/background", "once\n")
    assert.equal(before, kept())
    assert.same({}, processes.marked("MARKED=" .. scratch.env.SPEC_MARK))
    assert.same({}, scratch:leftovers())
  end)

  it("stands in a pipe, and is ended with all that it has started", function()
    fail()
    local command = ([[cd %s; head -c 3000000 /dev/zero | $ORCH shell 1 -- sh -c 'cat; echo err >&2' 2> err | wc -c
      cat err; $ORCH shell 1 -- yes | head -n 1
      $ORCH shell 1 -- sh -c 'kill -9 $$'; echo $?; $ORCH shell 1 -- no-such-program; echo $?]]):format(scratch.dir)
    local env = fs.environment()
    for name, value in pairs(SECRETS) do env[name] = value end
    env.ORCH, env.ORCH_STATE = support.orch, scratch:path("state")
    local result = assert(proc.run { argv = { "sh", "-c", command }, env = env, timeout = 60 })
    assert.matches("^3000000\nerr\ny\n137\norch: no program 'no%-such%-program' in PATH.*\n5\n$",
      result.stdout)
    local child = scratch:start { "shell", "1", "--", "sh", "-c",
      "export MARKED=$SPEC_MARK; sleep 1000 & echo ready; sleep 1000" }
    assert.equal("ready\n", child:read())
    assert(proc.kill(assert(scratch:pid_of(child)), 15))
    assert.equal(143, assert(child:wait()).code)
    assert.same({}, processes.marked("MARKED=" .. scratch.env.SPEC_MARK))
  end)

  it("is a terminal's, whose Ctrl-C is its own, and leaves the files for resume", function()
    local dir = fail()
    local seen = terminal.see(scratch,
      "wait:test] type:sh_-c_'echo_$OF\\x5fSTEP-$OF\\x5fBASH\\x5fENV-$((1+1));exec_sleep_1000'\\r wait:bash-env-2 type:\\x03 "
      .. "type:env|grep_-c_PROMPT\\r wait:0 type:touch_../mended;exit_6\\r", { "shell" }, scratch.env)
    assert.equal(6, seen.code, seen.text)
    assert.matches("run 1, job test, in place of the step: the tests", seen.text, 1, true)
    assert.matches("failed: test -e ../mended: exit code 1", seen.text, 1, true)
    assert.matches("\nof-the-step-of-bash-env-2\n^C", seen.text, 1, true)
    assert.is_true(seen.echo and seen.cursor_shown)
    local good = scratch:orch { "resume" }
    assert.equal(0, good.code, good.all)
    assert.is_nil(fs.stat(dir)) -- all was done
  end)

  it("leaves the terminal as it was, however it ends", function()
    fail()
    local seen = terminal.see(scratch, "wait:test] type:stty_raw_-echo;kill_-9_$$\\r", { "shell" },
      scratch.env)
    assert.equal(137, seen.code, seen.text)
    assert.is_true(seen.echo)
    seen = terminal.see(scratch, "wait:test] kill:15", { "shell" }, scratch.env)
    assert.equal(143, seen.code, seen.text)
    assert.matches("orch: cancelled by SIGTERM", seen.text, 1, true)
    assert.is_true(seen.echo)
    seen = terminal.see(scratch, "wait:again type:\\x03", { "shell", "--", "sleep", "1000" },
      scratch.env)
    assert.equal(130, seen.code, seen.text)
    assert.same({}, processes.marked("MARKED=" .. scratch.env.SPEC_MARK))
  end)

  it("has the run to itself", function()
    fail()
    local child = scratch:start { "shell", "1", "--", "sh", "-c", "echo ready; sleep 1000" }
    assert.equal("ready\n", child:read())
    for _, command in ipairs { { "resume", "1" }, { "discard", "1" }, { "shell", "1", "--", "true" } } do
      local refused = scratch:orch(command)
      assert.equal(6, refused.code, refused.all)
      assert.matches("run 1 is in use by process %d+: .*%(orch shell%)", refused.err)
    end
    child:cancel()
    child:wait()
    assert.equal(1, scratch:orch({ "resume", "1" }).code)
  end)

  it("says what it needs to know", function()
    local function refused(code, words, ...)
      local result = shell(...)
      assert.equal(code, result.code, result.all)
      assert.matches(words, result.err, 1, true)
    end
    refused(5, "no run of this project is waiting", "--", "true")
    scratch:write("recipe.lua", [[
local orch = require "orch"
local function bad(job) job:run { "exit 3", name = "bad" } end
return orch.pipeline { orch.job { name = "a", run = bad }, orch.job { name = "b", run = bad } }
]])
    assert.equal(1, scratch:orch({ "run", "-k", scratch:path("recipe.lua") }).code)
    refused(2, "orch shell 1 a\n  orch shell 1 b", "--", "true")
    refused(5, "run 1 has begun no job 'c'", "1", "c", "--", "true")
    refused(2, "there is no terminal; give a command", "1", "a")
    refused(2, "which command?", "1", "a", "--")
    scratch:write("good.lua", "return require 'orch'.job { name = 'j', run = function() end }")
    assert.equal(0, scratch:orch({ "run", scratch:path("good.lua") }).code)
    refused(6, "run 2 is done", "2", "--", "true")
    scratch:write("recipe.lua", "this is no Lua")
    refused(2, "mend the recipe, then orch shell 1", "1", "a", "--", "true")
  end)

  it("is refused in a live run, and opens where an interrupted or a held one stopped", function()
    local path = scratch:job [[
      job:run { "echo began; test -e on || exec sleep 1000", name = "long", environment = { STEP = "long" } }
      job:ask "go" ]]
    local child = scratch:start { "run", path }
    local text = ""
    while not text:find("began", 1, true) do text = text .. assert(child:read(), text) end
    local refused = shell("1", "--", "true")
    assert.equal(6, refused.code, refused.all)
    assert.matches("run 1 is live: another process works on it", refused.err, 1, true)
    assert(proc.kill(assert(scratch:pid_of(child)), 9))
    child:wait()
    local result = shell("1", "--", "sh", "-c", "touch on; echo $STEP")
    assert.equal("long\n", result.out, result.all)
    assert.equal(5, scratch:orch({ "resume", "1" }).code) -- it asks
    assert.equal("\n", shell("1", "--", "sh", "-c", "echo $STEP").out)
    assert.equal(0, scratch:orch({ "resume", "1", "--answer", "go=yes" }).code)
  end)

  it("opens in the place of what a changed recipe comes to first, or as far as its body comes", function()
    fail()
    local changed = RECIPE:gsub("job%.env%.OF_BODY",
      'job:run { "true", name = "new", environment = { NEW = "new" } } %0')
    scratch:write("recipe.lua", changed)
    assert.equal("new\n", shell("1", "--", "sh", "-c", "echo $NEW").out)
    local seen = terminal.see(scratch, "wait:test] type:exit\\r", { "shell" }, scratch.env)
    assert.matches("the recipe has changed: its body comes to this first: new", seen.text, 1, true)
    scratch:write("recipe.lua", (RECIPE:gsub("job%.env%.OF_BODY", 'orch.fail "not today" %0')))
    seen = terminal.see(scratch, "wait:test] type:exit\\r", { "shell" }, scratch.env)
    assert.matches("its body did not come so far again: not today", seen.text, 1, true)
    assert.is_nil(fs.stat(scratch:path("state/runs/1/jobs/test/work/after")))
  end)

  it("opens in the innermost step of verbs and branches that failed", function()
    scratch:write("verbs/check.lua", [[
local orch = require "orch"
return orch.verb { options = {}, run = function(job)
  job:run { "echo once >> ran", name = "before" }
  job:run { "exit 3", name = "inner", environment = { STEP = "inner" } }
end }]])
    local path = scratch:job [[
      pcall(job.run, job, { "exit 4", name = "caught", environment = { STEP = "caught" } })
      orch.all {
        a = function() job:run { "sleep 1000", name = "cancelled", environment = { STEP = "cancelled" } } end,
        z = function() job:group("group", function() job:check() end) end,
      }]]
    assert.equal(1, scratch:orch({ "run", path }).code)
    local result = shell("--", "sh", "-c", "echo $STEP; cat ran")
    assert.equal("inner\nonce\n", result.out, result.all)
  end)

  it("opens in a job that another has added", function()
    local path = scratch:job [[
      job:run { "echo once >> ran" }
      job:add_jobs { orch.job { name = "added", run = function(added)
        added:add_jobs { orch.job { name = "further", run = function(further)
          further:run { "exit 3", environment = { STEP = "further" } }
        end } }
      end } }
      job:run { "exec sleep 1000", background = true }]]
    assert.equal(1, scratch:orch({ "run", path }).code)
    local result = shell("--", "sh", "-c", "echo $STEP; cat ../../job/work/ran")
    assert.equal("further\nonce\n", result.out, result.all)
  end)

  it("is named at a terminal when a run has failed", function()
    local path = scratch:job 'job:run "exit 3"'
    local seen = terminal.see(scratch, "", { "run", path })
    assert.matches("go on with: orch resume 1  or look into it: orch shell 1", seen.text, 1, true)
  end)

  it("is opened by a run that fails, when it was asked for and there is a terminal", function()
    local path = scratch:job 'job:run { "exit 3", name = "bad" }'
    local seen = terminal.see(scratch, "wait:job] type:exit_9\\r", { "run", "--on-fail", "shell", path })
    assert.equal(1, seen.code, seen.text) -- of the run
    assert.matches("run 1, job job, in place of the step: bad", seen.text, 1, true)
    assert.matches("orch: exit 3: exit code 3", seen.text, 1, true)
    assert.equal(1, scratch:orch({ "run", "--on-fail", "shell", path }).code)
    assert.equal(2, scratch:orch({ "run", "--on-fail", "sheep", path }).code)
  end)
end)
