local fs = require "orch.fs"
local json = require "orch.json"
local proc = require "orch.proc"
local processes = require "e2e.processes"
local support = require "e2e.support"

local PYTHON <const> = "/usr/bin/python3" -- Debian's, which has Debian's modules
local DEMO <const> = support.root .. "/examples/demo.lua"

-- Validates JSON lines by a schema; prints what is wrong.
local VALIDATE <const> = [[
import json, sys, jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
check, kinds = jsonschema.Draft202012Validator(schema), set()
for line in sys.stdin:
    event = json.loads(line)
    kinds.add(event["type"])
    for error in check.iter_errors(event):
        print(line.strip(), "\n   ", error.message)
print("kinds", " ".join(sorted(kinds)))
]]

describe("a run as JSON", function()
  local scratch
  before_each(function() scratch = support.scratch() end)
  after_each(function() scratch:remove() end)

  local kinds = {}

  local function kinds_of_schema()
    return json.decode(assert(fs.read(support.root
      .. "/lua/orch/ui/events.schema.json"))).properties.type.enum
  end

  local function check(result)
    local found =
      assert(proc.run { argv = { PYTHON, "-c", VALIDATE,
      support.root .. "/lua/orch/ui/events.schema.json" },
      input = result.out })
    assert.matches("^kinds ", found.stdout)
    for kind in found.stdout:match("^kinds (.*)"):gmatch("%S+") do kinds[kind] = true end
  end

  -- By a job in a container: of an image whose first step fails.
  local function build()
    local result = scratch:recipe([[
      job:write { path = "Dockerfile",
        text = "FROM busybox:1.36\nRUN echo said; sleep 0.1; echo wrong >&2; sleep 0.1; printf 'no end'; exit 3\n" }
      assert(not pcall(job.docker_build, job, { no_cache = true }))]], { "--format", "json" }, nil,
      "executor = orch.docker { image = 'busybox:1.36' },")
    assert.equal(0, result.code, result.all)
    return result
  end

  it("is what the schema says, every event of it", function()
    check(scratch:orch { "run", DEMO, "speed=50", "--format", "json" })
    check(scratch:orch { "run", DEMO, "speed=50", "fail=true", "--format", "json" })
    check(scratch:orch { "resume", "2", "--format", "json" })
    local path = scratch:write("r.lua", [[
local orch = require "orch"
local tried = 0
return orch.pipeline {
orch.job { name = "flaky", serial = "one", retry = { attempts = 2, delay = 0.01 }, run = function(job)
  tried = tried + 1
  if tried == 1 then orch.fail("first") end
  job:ask { "go" }
end },
}]])
    check(scratch:orch { "run", path, "--format", "json" })
    fs.write(path, assert(fs.read(path)) .. "\n")
    check(scratch:orch { "resume", "3", "--format", "json", "--answer", "go=yes" })
    local held = scratch:write("h.lua", [[
local orch = require "orch"
print "outside of jobs"
return orch.pipeline {
orch.job { name = "short", serial = "one", secrets = { "SPEC_SHORT?" }, run = function(job)
  job:run { "touch", job.project.dir .. "/begun" }
  job:run "sleep 0.5"
end },
orch.job { name = "second", run = function(job) return job.needs.nobody end },
orch.job { name = "third", needs = { short = "failed" }, run = function() end },
}]])
    local first <close> = scratch:start { "run", held, "-k", "--project", scratch.dir }
    assert.is_truthy(processes.wait_until(function() return fs.stat(scratch:path("begun")) end))
    check(scratch:orch({ "run", held, "--format", "json", "-k", "--project", scratch.dir },
      { SPEC_SHORT = "ab" }))
    first:wait()
    if support.services() then check(build()) end
    for _, kind in ipairs(kinds_of_schema()) do
      local of_daemon = not support.services() and (kind == "container" or kind == "step.vertex")
      assert.is_true(kinds[kind] or of_daemon, "no event of kind " .. kind)
    end
  end)

  it("tells of a build's parts and of where each line was printed", function()
    if not support.services() then pending "no services: run tests/run.sh" end
    local states, lines = {}, {}
    for line in build().out:gmatch("[^\n]+") do
      local event = json.decode(line)
      if event.type == "step.vertex" then
        local told = states[event.name] or ""
        states[event.name] = ("%s%s%s "):format(told, event.state, event.seconds and "" or "…")
      elseif event.stream then
        lines[#lines + 1] = event.stream .. event.line
      end
    end
    assert.same({ "stdout  said", "stderr  wrong", "stdout  no end" }, lines)
    assert.equal("started… failed ",
      states["[2/2] RUN echo said; sleep 0.1; echo wrong >&2; sleep 0.1; printf 'no end'; exit 3"])
  end)

  it("tells of a failure what it is, where it was, and what to do", function()
    local result = scratch:recipe("job:run { name = 'check', 'exit 7' }", { "--format", "json" })
    local ends = {}
    for line in result.out:gmatch("[^\n]+") do
      local event = json.decode(line)
      if event.error then ends[event.type] = event.error end
    end
    local path = scratch:path("recipe.lua") .. ":4"
    assert.same({ kind = "failed", message = "exit 7: exit code 7", op = "run", code = 7,
      step = "check", where = path },
      ends["step.end"])
    ends["step.end"].job = "job"
    assert.same(ends["step.end"], ends["job.end"])
    assert.same(ends["step.end"], ends["run.end"])
  end)

  it("has every kind of event that the engine sends in its schema", function()
    local known = table.concat(kinds_of_schema(), " ") .. " "
    local found = -- what `orch shell` tells itself is no stream for programs
      assert(proc.run { argv = { "grep", "-rhoE", "--exclude=visit.lua",
      "(emit|announce)\\((job, step, )?\"[a-z.]+\"",
      support.root .. "/lua/orch" } })
    local count = 0
    for kind in found.stdout:gmatch('"([a-z.]+)"') do
      count = count + 1
      assert.is_truthy(known:find(kind .. " ", 1, true), kind)
    end
    assert.is_true(count > 15, found.stdout)
  end)

  it("tells errors as JSON too", function()
    for _,
      args in ipairs { { "run", DEMO, "nope=1", "--format", "json" },
      { "run", "--format=json", "/nowhere.lua" },
      { "show", "99", "--json" } } do
      local result = scratch:orch(args)
      local failure = json.decode(result.err).error
      assert.equal(result.code, failure.exit_code)
      assert.is_string(failure.message)
    end
  end)
end)
