local fs = require "orch.fs"
local json = require "orch.json"
local plan = require "orch.plan"
local proc = require "orch.proc"
local recipe = require "orch.recipe"
local unknown = require "orch.unknown"

local ORCH <const> = assert(fs.real_path("/proc/self/exe"))

local dir
before_each(function() dir = assert(fs.make_temp("/tmp/orch-spec-")) end)
after_each(function() assert(fs.remove(dir)) end)

local function write(body)
  assert(fs.write(dir .. "/r.lua", 'local orch = require "orch"\n' .. body))
  return dir .. "/r.lua"
end

local function plan_of(text, spec)
  spec = spec or {}
  spec.project = { dir = dir, in_git = false, key = "k" }
  return plan.plan(recipe.load(write(text)), spec)
end

-- The plan of a body, whose first line is line 2.
local function body_of(text, head)
  return plan_of(("return orch.job { name = 'j', %s run = function(job)\n%s\nend }"):format(head
    or "", text)).jobs[1]
end

describe("an unknown value", function()
  it("joins, prints, and has unknown parts", function()
    local x = unknown.new "pipeline.number"
    assert.equal("1.‹pipeline.number›-x", tostring("1." .. x .. "-x"))
    assert.equal("‹a.b.c›", tostring(unknown.new("a").b.c))
    assert.is_true(unknown.is("" .. x))
    assert.equal("7‹pipeline.number›", tostring(7 .. x))
  end)

  it("decides nothing", function()
    local x, y = unknown.new "x", unknown.new "y"
    for name,
      f in pairs { call = function() return x() end, method = function() return x:gmatch "a" end,
      plain = function() return x.match "a" end, len = function() return #x end,
      lt = function() return x < 1 end, gt = function() return 1 < x end,
      le = function() return x <= y end,
      eq = function() return x == y end, band = function() return x & 1 end,
      set = function() x.a = 1 end, pairs = function() return pairs(x) end } do
      local good, failure = pcall(f)
      assert.is_false(good, name)
      assert.is_true(failure.decided, name)
      assert.matches("^decided at run time, on ‹[xy.a-z]+›$", failure.message)
      assert.matches("plan_spec.lua:%d+", failure.where)
    end
  end)
end)

describe("what is made of an unknown value", function()
  it("is unknown, and no decision", function()
    local x = unknown.new "x"
    assert.same({ "‹x + 1›", "‹1 - x›", "‹-x›", "‹x * 2 // x›" },
      { tostring(x + 1), tostring(1 - x), tostring(-x), tostring((x * 2) // x) })
    assert.equal("‹read:match:upper›", tostring(unknown.new("read"):match("%S+"):upper()))
    local major, minor, patch = x:match "^(%d+)%.(%d+)%(a%)"
    assert.same({ "‹x:match›", "‹x:match 2›", nil }, { tostring(major), tostring(minor), patch })
    assert.equal(2, select("#", x:gsub("a", "b")))
  end)

  it("is so for the functions of Lua's library, too", function()
    local function command(expression)
      local job = body_of("local v = job:read 'V'\njob:run('x' .. tostring(" .. expression .. "))")
      assert.is_nil(job.ends, job.ends and job.ends.message)
      return job.steps[2].options.command
    end
    assert.equal("x‹read:match›", command "string.match(v, '%S+')")
    assert.equal("x‹read:tonumber + 1›", command "tonumber(v) + 1")
    assert.equal("x‹read:floor›", command "math.floor(v)")
    assert.equal("x‹read:max›", command "math.max(3, v)")
    assert.equal("x7", command "math.max(3, 7)")
    assert.equal("xA", command "string.upper('a')")
  end)
end)

describe("plan", function()
  it("lists steps with what was chosen, and outputs", function()
    local job = body_of [[job:run "make"
job:group("more", function() job:write { path = "f", text = "x", mode = "644" } end)
return { tag = "1." .. job.pipeline.number }]]
    assert.same({ "run", "group", "write" },
      { job.steps[1].verb, job.steps[2].verb, job.steps[3].verb })
    assert.same({ 0, 0, 1 }, { job.steps[1].depth, job.steps[2].depth, job.steps[3].depth })
    assert.same({ command = "make" }, job.steps[1].options)
    assert.same({ path = "f", text = "x", mode = "644" }, job.steps[3].options)
    assert.matches("r.lua:3$", job.steps[1].where)
    assert.same({ tag = "1.‹pipeline.number›" }, job.outputs)
    assert.is_nil(job.ends)
  end)

  it("gives the outputs of a job to those that need it", function()
    local made = plan_of [[return orch.pipeline {
  orch.job { name = "b", needs = { "a" }, run = function(job) return { y = job.needs.a.x + 1, n = job.needs.a.n .. "!" } end },
  orch.job { name = "a", run = function(job) return { x = 1, n = job.pipeline.number } end } }]]
    assert.same({ "a", "b" }, { made.jobs[1].name, made.jobs[2].name })
    assert.same({ y = 2, n = "‹pipeline.number›!" }, made.jobs[2].outputs)
  end)

  it("ends where the body decides on what only a run can tell, and says where", function()
    local job = body_of "job:run 'one'\nif job:now() > 5 then job:run 'two' end\njob:run 'three'"
    assert.equal(2, #job.steps)
    assert.same({ true, "decided at run time, on ‹now›" }, { job.ends.decided, job.ends.message })
    assert.matches("r.lua:4$", job.ends.where)
    for _,
      text in ipairs { "for _, x in ipairs(job:read 'f') do job:run(x) end",
      "for k in pairs(job:read 'f') do job:run(k) end",
      "local k = next(job:read 'f')", "local n = #job:read 'f'", "table.unpack(job:read 'f')",
      "table.concat(job:read 'f')" } do
      assert.is_true(body_of(text).ends.decided, text)
    end
  end)

  it("prints unknown values in any format", function()
    local job = body_of [[job:log("number %d of %s: %5.2f %%", job.pipeline.number, "x", job:now())
job:run(("echo %d %5s %s"):format(job.pipeline.number, "a", 3))
job:run { "docker", "tag", job.pipeline.id }
job:run(string.format("%d", job.pipeline.number))]]
    assert.is_nil(job.ends)
    assert.equal("echo ‹pipeline.number›     a 3", job.steps[2].options.command)
    assert.equal("docker tag ‹pipeline.id›", job.steps[3].title)
    assert.equal("‹pipeline.number›", job.steps[4].options.command)
    assert.equal("12", ("%d"):format(12))
    assert.has_error(function() return ("%d"):format {} end)
  end)

  it("shows secrets by name, and where they come from", function()
    local job = body_of([[job:write { path = "f", text = job.secrets.A }
job:run { "make", secrets = { "A" } }
job:http { url = "http://x", headers = { Authorization = "Bearer " .. job.secrets.B } }]],
      'secrets = { "A", "C?", B = { file = "b.txt" }, D = { command = { "pass", "d" } } },')
    assert.same({ "A", "C?", "B (file b.txt)", "D (command pass)" }, job.secrets)
    assert.equal("‹secret A›", job.steps[1].options.text)
    assert.matches("‹secret ", job.steps[3].options.headers.Authorization)
  end)

  it("runs what was put off, and halts", function()
    local job =
      body_of "job:defer(function() job:run 'last' end)\njob:run 'first'\njob:halt()\njob:run 'never'"
    assert.same({ "first", "last", 2 }, { job.steps[1].title, job.steps[2].title, #job.steps })
    assert.is_nil(job.ends)
  end)

  it("knows the jobs that a body adds", function()
    local made = plan_of [[return orch.job { name = "a", run = function(job)
  for i = 1, 2 do job:add_jobs { orch.job { name = "late" .. i, needs = { "a" }, run = function(j) j:run "x" end } } end end }]]
    assert.same({ "a", "late1", "late2" },
      { made.jobs[1].name, made.jobs[2].name, made.jobs[3].name })
  end)

  it("decides conditions that need nothing unknown", function()
    local function fate(condition)
      local job =
        plan_of(([[return orch.pipeline { params = { stage = { "string", default = "test" } },
  orch.job { name = "j", when = function(c) return %s end, run = function(job) job:run "x" end } }]]):format(condition)).jobs[1]
      return job.ends and "error" or job.not_run and "not run" or job.conditional and "conditional"
        or "runs", #job.steps
    end
    assert.same({ "runs", 1 }, { fate "c.params.stage == 'test'" })
    assert.same({ "not run", 0 }, { fate "c.params.stage == 'live'" })
    assert.same({ "conditional", 1 }, { fate "c.pipeline.git.branch == 'main'" })
    assert.same({ "conditional", 1 }, { fate "c.pipeline.number > 3" })
    assert.same({ "error", 0 }, { fate "c.params.stgae" })
  end)

  it("shows what there may be to do when the body has failed, and where it runs", function()
    local made =
      plan_of [[return orch.job { name = "j", executor = orch.docker { image = "alpine:3" }, run = function(job)
    job:run { "dump", when = "on_fail" }
    job:run "make" end }]]
    local text = table.concat(plan.text(made), "\n")
    assert.matches("in container alpine:3", text, 1, true)
    assert.matches("run  make\n.*run  dump  %(on_fail, at the end%)", text)
  end)

  it("sums up what is built, pushed and persisted", function()
    local made = plan_of [[return orch.job { name = "j", run = function(job)
  job:docker_build { tags = { "r/x:1", "r/x:" .. job.pipeline.number } }
  job:docker_push { tags = { "r/x:1" } }
  job:persist_to_workspace { root = "out", paths = { "*" } } end }]]
    assert.same({ "r/x:1", "r/x:‹pipeline.number›" }, { made.build[1].name, made.build[2].name })
    assert.same({ 1, "r/x:1" }, { #made.push, made.push[1].name })
    assert.same({ "*", "out" }, { made.persist[1].name, made.persist[1].root })
  end)

  it("tells a mistake, and goes on with the other jobs", function()
    local made = plan_of [[return orch.pipeline {
  orch.job { name = "a", run = function(job) job:rnu "x" end },
  orch.job { name = "b", needs = { "a" }, run = function(job) job:run(job.needs.a.x) end } }]]
    assert.matches("there is no verb 'rnu'", made.jobs[1].ends.message)
    assert.is_nil(made.jobs[1].ends.decided)
    assert.equal("‹a.x›", made.jobs[2].steps[1].title)
  end)

  it("gives the same bytes twice, in another process, with nothing at hand", function()
    local path = write [[return orch.pipeline { params = { who = { "string", default = "x" } },
  orch.job { name = "t", matrix = { os = { "a", "b" }, v = { 1, 2 } }, secrets = { "NO_SUCH_SECRET", F = { file = "/none" } },
    environment = { A = "1", B = "2", C = "3" }, run = function(job)
    job:checkout { url = "https://192.0.2.1/x.git" }
    job:run { "x", environment = { Z = "1", Y = "2", X = "3", W = job.pipeline.git.branch } }
    local auth = job:ecr_login { registry = "public.ecr.aws/x" }
    job:setup_remote_docker()
    job:docker_push { tags = { "r/x:" .. job.matrix.os }, auth = auth }
    job:http { url = "http://192.0.2.1/" }
    return { now = job:now(), random = job:random(), os = job.matrix.os } end } }]]
    local texts = {}
    for i,
      argv in ipairs { { ORCH, "plan", path, "--json" },
      { "env", "-i", "unshare", "-rn", ORCH, "plan", path, "--json" },
      { "env", "-i", "PATH=", "HOME=/nonexistent", ORCH, "plan", path, "--json" } } do
      if os.getenv("ORCH_LUA") and argv[1] == "env" then
        table.insert(argv, 3, "ORCH_LUA=" .. os.getenv("ORCH_LUA"))
      end
      local result = assert(proc.run { argv = argv, cwd = dir, split = true })
      assert.equal(0, result.code, result.stderr)
      texts[i] = result.stdout
    end
    assert.equal(texts[1], texts[2])
    assert.equal(texts[1], texts[3])
    for _, job in ipairs(json.decode(texts[1]).jobs) do
      assert.is_nil(job.ends, job.ends and job.ends.message)
    end
    assert.is_nil(fs.stat(dir .. "/.local"))
  end)
end)
