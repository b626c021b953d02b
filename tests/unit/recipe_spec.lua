local fs = require "orch.fs"
local pipeline = require "orch.pipeline"
local proc = require "orch.proc"
local recipe = require "orch.recipe"

local ORCH <const> = fs.real_path("/proc/self/exe")

describe("recipe", function()
  local dir
  before_each(function() dir = assert(fs.make_temp("/tmp/orch-spec-")) end)
  after_each(function() assert(fs.remove(dir)) end)

  local function write(name, text)
    local path = dir .. "/" .. name
    assert(fs.make_dir(path:match("^(.*)/")))
    assert(fs.write(path, text))
    return path
  end

  -- What the recipe is of that text.
  local function load_text(text) return recipe.load(write("r.lua", text)) end

  local function refused(text)
    local good, failure = pcall(load_text, text)
    assert.is_false(good, text)
    return require "orch.error".is(failure) and failure.message or tostring(failure), failure
  end

  local function job(expression)
    return ('return require "orch".job { name = tostring(%s):gsub("[^%%w]", "-"), run = function() end }'):format(expression)
  end

  local function value_of(expression, before)
    return load_text((before or "") .. "\n" .. job("(" .. expression .. ")")).pipeline.names[1]
  end

  it("loads a pipeline, or one job as a pipeline", function()
    local loaded =
      load_text 'local orch = require "orch"\nreturn orch.pipeline { orch.job { name = "a", run = print } }'
    assert.is_true(pipeline.is(loaded.pipeline))
    assert.equal(dir .. "/r.lua", loaded.path)
    assert.same({ "x" }, load_text(job '"x"').pipeline.names)
  end)

  it("tells of a recipe that is not there, or returns something else", function()
    local good, failure = pcall(recipe.load, dir .. "/none.lua")
    assert.is_false(good)
    assert.same({ "missing", "there is no recipe " .. dir .. "/none.lua" },
      { failure.kind, failure.message })
    for text, got in pairs { [""] = "nothing", ["return 7"] = "a number",
      ["return {}"] = "a table", ["return { J }"] = "a list of jobs", ["return J, J"] = "several values",
      ["return require 'orch'.job"] = "a function" } do
      local message, value = refused((text:gsub("J", "require 'orch'.job { name = 'j', run = print }")))
      assert.matches("r%.lua must return orch%.pipeline { … } or a job, got " .. got .. "$", message)
      assert.equal("usage", value.kind)
      assert.matches("orch%.%a+ {", value.hint)
    end
  end)

  it("names file and line of a mistake", function()
    local message, failure = refused "local x = 1\nlocal = 2"
    assert.matches("r%.lua:2: ", message)
    assert.equal("usage", failure.kind)
    assert.matches("r%.lua:3: ", (refused "\n\nerror('wrong')"))
    assert.matches("r%.lua:1: attempt to index a nil value", (refused "local t = nil; t.x = 1"))
  end)

  it("runs no compiled Lua, and says which file is", function()
    assert.matches("r%.lua is compiled Lua, which is not run", (refused(string.dump(function() end))))
  end)

  it("refuses globals: new ones and unknown ones", function()
    assert.matches("r%.lua:2: assignment to global 'x': write `local x = …`", (refused "\nx = 1"))
    assert.matches("r%.lua:1: assignment to global 'f'", (refused "function f() end"))
    assert.matches("^there is no global 'prnt'", (refused "prnt 'x'"))
    assert.matches("r%.lua:1: assignment to global 'x'", (refused "_G.x = 1"))
    assert.equal("table", value_of("type(_G)"))
    assert.matches("prnt'; did you mean 'print'?", (refused "prnt 'x'"), 1, true)
  end)

  it("says what was meant by a name that a module does not have", function()
    assert.matches("orch has no 'jbo'; did you mean 'job'?",
      (refused "return require 'orch'.jbo {}"), 1, true)
    assert.matches("orch.json has no 'encod'; did you mean 'encode'?",
      (refused "require 'orch.json'.encod {}"), 1, true)
  end)

  it("cannot change what others see", function()
    value_of("1", "string.shout = 1; os.getenv = nil; table.sort = nil; pairs = pairs")
    assert.is_nil(rawget(string, "shout"))
    assert.equal("function", type(os.getenv))
    assert.equal("function", type(table.sort))
    assert.equal("nil", value_of 'getmetatable("")')
    for _,
      absent in ipairs { "setmetatable", "getregistry", "getupvalue", "setupvalue", "sethook" } do
      assert.equal("nil", value_of("debug." .. absent), absent)
    end
    assert.matches("r%.lua:1: orch%.fail cannot be changed",
      (refused 'require "orch".fail = print'))
    assert.matches("r%.lua:1: orch%.json%.encode cannot be changed",
      (refused 'require "orch.json".encode = print'))
    assert.equal("true",
      value_of('all',
      'local all for name in pairs(require "orch") do all = all or name == "all" end'))
  end)

  it("has nothing that passes around the job", function()
    for _,
      absent in ipairs { "package.loadlib", "package.cpath", "package.loaded",
      "package.searchers" } do
      assert.equal("nil", value_of(absent), absent)
    end
    for absent,
      instead in pairs { ["os.execute"] = "job:run", ["io.popen"] = "job:run",
      ["os.exit"] = "job:halt" } do
      local message = refused("return " .. absent)
      assert.matches("a recipe has no " .. absent, message, 1, true)
      assert.matches("use " .. instead, message, 1, true)
    end
    for _, absent in ipairs { "load", "loadfile", "dofile", "arg" } do
      assert.matches("there is no global '" .. absent .. "'", (refused("return " .. absent)))
    end
    assert.equal("function", value_of "type(os.getenv)")
    assert.equal("function", value_of "type(io.open)")
    assert.equal("0", value_of "math.max(0, -1)")
  end)

  it("visits keys in order", function()
    assert.equal("1-2-10-A-b-ba-", value_of("s", [[
      local s = ""
      for key in pairs { b = 1, [10] = 1, A = 1, ba = 1, 2, 3 } do s = s .. key .. "-" end]]))
    local seen = {}
    local sorted_pairs = require "orch.globals".sorted_pairs
    for key, value in sorted_pairs { x = 1, [true] = 2, [1.5] = 3, [false] = 4 } do
      seen[#seen + 1] = { key, value }
    end
    assert.same({ { false, 4 }, { true, 2 }, { 1.5, 3 }, { "x", 1 } }, seen)
    assert.equal("own", value_of("s", [[
      local s
      for key in pairs(setmetatable({}, { __pairs = function() return next, { own = 1 } end })) do s = key end]]))
    assert.equal("2", value_of("n", [[
      local t, n = { a = 1, b = 2 }, 0
      for key in pairs(t) do t[key] = nil; n = n + 1 end]]))
  end)

  it("requires modules beside it, once, in its own world", function()
    write("steps.lua",
      'local n = 0\nreturn { next = function() n = n + 1 return n end, world = _G, sort = table.sort }')
    write("deep/init.lua", 'return require "deep.inner"')
    write("deep/inner.lua", 'return "inner"')
    assert.equal("3",
      value_of('a.next() + b.next()', 'local a, b = require "steps", require "steps"'))
    assert.equal("inner", value_of 'require "deep"')
    assert.equal("true", value_of 'require "steps".world == _G')
    write("nothing.lua", "return nil")
    assert.equal("true", value_of 'require "nothing"')
    write("popen.lua", "return io.popen")
    assert.matches("popen%.lua:1: a recipe has no io%.popen", (refused 'require "popen"'))
    write("global.lua", "x = 1")
    assert.matches("global%.lua:1: assignment to global 'x'", (refused 'require "global"'))
    write("broken.lua", "\nlocal =")
    assert.matches("broken%.lua:2: ", (refused 'require "broken"'))
  end)

  it("names what was looked for when a module is missing", function()
    local message, failure = refused '\nrequire "absent"'
    assert.equal("there is no module 'absent'", message)
    assert.matches(dir .. "/absent.lua", failure.hint, 1, true)
    assert.matches("did you mean 'orch'?", (refused 'require "ocrh"'), 1, true)
  end)

  it("tells of modules that require each other", function()
    write("ping.lua", 'return require "pong"')
    write("pong.lua", 'local ping = require "ping"\nreturn ping')
    assert.matches("pong%.lua:1: module 'ping' requires itself", (refused 'require "ping"'))
  end)

  it("has the engine's modules, whatever stands beside it", function()
    write("orch.lua", 'error "not me"')
    write("orch/json.lua", 'error "nor me"')
    assert.equal("string", value_of 'type(require "orch.json".encode {})')
  end)

  it("may wait while it loads", function()
    write("slow.lua", 'require "orch".sleep(0.01)\nreturn "rested"')
    assert.equal("rested", value_of 'require "slow"')
  end)

  it("finds modules and verbs on ORCH_PATH, those beside it first", function()
    write("shared/tools.lua", 'return "shared"')
    write("shared/both.lua", 'return "shared"')
    write("both.lua", 'return "beside"')
    write("shared/greet.lua", 'return require "orch".verb { run = function() return "hello" end }')
    write("r.lua",
      'local orch = require "orch"\nassert(require "tools" == "shared" and require "both" == "beside")\n'
      .. 'return orch.job { name = "a", run = function(job) assert(job:greet() == "hello") end }')
    local environment = fs.environment()
    environment.ORCH_PATH, environment.ORCH_STATE = "/nowhere:" .. dir .. "/shared", dir .. "/state"
    local result =
      assert(proc.run { argv = { ORCH, "run", dir .. "/r.lua" }, env = environment, cwd = dir })
    assert.equal(0, result.code, result.stdout)
  end)

  -- A body that calls f, which a verb beside the recipe calls as well; and what a run of it says.
  local function run_with(call)
    write("verbs/past.lua",
      ('local fs, proc = require "orch.fs", require "orch.proc"\nlocal HOME <const> = fs.environment().HOME\n'
      .. 'return require "orch".verb { run = function() return { HOME, (%s) } end }'):format(call))
    write("r.lua", ([[local orch, fs, proc = require "orch", require "orch.fs", require "orch.proc"
      assert(fs.stat "/")
      return orch.job { name = "a", run = function(job)
        assert(job:past()[2], "the verb could not")
        assert(fs.join("a", "b") == "a/b")
        job:group("g", function() orch.all { b = function()
          local good, failure = pcall(function() return %s end)
          print(good, failure, failure.hint)
        end } end)
        local _ = %s
      end }]]):format(call, call))
    local environment = fs.environment()
    environment.ORCH_STATE = dir .. "/state"
    return assert(proc.run { argv = { ORCH, "run", dir .. "/r.lua" }, env = environment, cwd = dir,
      split = true })
  end

  it("has the bare primitives while it loads and in verbs, not in a body", function()
    for call,
      instead in pairs { ["proc.run { argv = { 'true' } }"] = "job:run",
      ["fs.stat '/'"] = "job:read" } do
      local result = run_with(call)
      assert.equal(2, result.code, result.stdout .. result.stderr)
      local name = call:match("^[%w.]+"):gsub("%.", "%%.")
      assert.matches("false\t" .. name .. ": a body does nothing past its job.*use " .. instead,
        result.stdout)
      assert.matches(name .. ": a body does nothing past its job.*\n  at: job a, .*r%.lua:10",
        result.stderr)
    end
  end)
end)
