local fs = require "orch.fs"
local orch = require "orch"
local recipe = require "orch.recipe"
local verb = require "orch.verb"

describe("orch.verb", function()
  it("checks its description", function()
    local made = verb.define { options = { url = "string" }, run = function() end }
    assert.is_true(verb.is(made))
    assert.same({ "answer", false }, { made.replay, made.external })
    assert.is_false(verb.is { run = print })
    for message, bad in pairs {
      ["option 'run' is missing"] = { options = {} },
      ["unknown option 'option'; did you mean 'options'?"] = { option = {}, run = print },
      ["must be one of answer, again, got 'never'"] = { run = print, replay = "never" },
      ["unknown type 'strng'"] = { run = print, options = { x = "strng" } },
      ["min, 5, is more than max, 3"] = { run = print,
        options = { x = { "integer", min = 5, max = 3 } } },
      ["positional: there is no option 'txt'; did you mean 'text'?"] = { run = print,
        positional = "txt", options = { text = "string" } },
      ['its name of letters, digits and _: got "a-b"'] = { run = print,
        options = { ["a-b"] = "string" } },
      ["an option is declared as NAME = TYPE"] = { run = print, options = { "text" } },
    } do
      local good, failure = pcall(orch.verb, bad)
      assert.is_false(good)
      assert.equal("usage", failure.kind)
      assert.matches(message, failure.message, 1, true)
    end
  end)

  it("takes a name for the step beside its own options", function()
    local made = verb.define { options = { url = "string", n = { "integer", default = 3 } },
      positional = "url", run = print }
    local checked = made.schema:check("get", { "u", name = "title" })
    assert.same({ "u", 3, "title" }, { checked.url, checked.n, checked.name })
    assert.is_false((pcall(made.schema.check, made.schema, "get", { "u", m = 1 })))
  end)
end)

describe("the finder of verbs", function()
  local dir, finder
  before_each(function()
    dir = assert(fs.make_temp("/tmp/orch-spec-"))
    finder = recipe.finder(dir .. "/recipe.lua")
    assert(fs.make_dir(dir .. "/verbs"))
  end)
  after_each(function() assert(fs.remove(dir)) end)

  local function write(name, text) assert(fs.write(dir .. "/" .. name, text)) end

  it("knows every built-in verb, and each of them loads", function()
    local names = {}
    for _, file in ipairs(fs.list("lua/orch/verbs")) do
      names[#names + 1] = file:match("^(.*)%.lua$")
    end
    assert.same(names, finder:names())
    for _, name in ipairs(names) do
      assert.is_true(verb.is(finder:find(name)), name)
      assert.matches("^%-%- %u.*[.:]$",
        fs.read("lua/orch/verbs/" .. name .. ".lua"):match("^[^\n]*"), name)
    end
  end)

  it("finds a verb beside the recipe, and loads it once", function()
    write("verbs/greet.lua", 'return require "orch".verb { run = function() return "hello" end }')
    local found = finder:find "greet"
    assert.equal("hello", found.run())
    assert.equal(found, finder:find "greet")
    assert.equal(dir .. "/verbs/greet.lua", finder:path "greet")
    local names = table.concat(finder:names(), " ")
    assert.matches("greet", names)
    assert.is_nil(finder:find "absent")
  end)

  it("prefers the one beside the recipe to a built-in one", function()
    write("verbs/read.lua", 'return require "orch".verb { run = function() return "mine" end }')
    assert.equal("mine", finder:find "read".run())
    assert.is_nil(finder:path "write")
  end)

  it("finds installed ones", function()
    assert(fs.make_dir(dir .. "/installed/orch_verbs"))
    write("installed/orch_verbs/deploy.lua",
      'return require "orch".verb { run = function() return "deployed" end }')
    local before = package.path
    package.path = dir .. "/installed/?.lua;" .. before
    local found = finder:find "deploy"
    package.path = before
    assert.equal("deployed", found.run())
  end)

  it("refuses a file that returns no verb, and names it", function()
    for name,
      text in pairs { nothing = "", number = "return 7", plain = "return { run = print }" } do
      write("verbs/" .. name .. ".lua", text)
      local good, failure = pcall(finder.find, finder, name)
      assert.is_false(good)
      assert.matches(("verb '%s': %s/verbs/%s.lua must return orch.verb { … }, got "):format(name,
        dir, name), failure.message, 1, true)
    end
    write("verbs/broken.lua", "\nlocal =")
    assert.matches("broken%.lua:2: ", select(2, pcall(finder.find, finder, "broken")).message)
    write("verbs/leaky.lua", "x = 1")
    assert.matches("leaky%.lua:1: assignment to global 'x'",
      tostring(select(2, pcall(finder.find, finder, "leaky"))))
  end)

  it("says where it looked and what is near", function()
    write("verbs/smoke_test.lua", "")
    for wrong,
      near in pairs { chekout = "checkout", smoke_tset = "smoke_test",
      docker_pus = "docker_push" } do
      local good, failure = pcall(finder.missing, finder, wrong)
      assert.is_false(good)
      assert.equal(("there is no verb '%s'; did you mean '%s'?"):format(wrong, near),
        failure.message)
      assert.matches(("%s/verbs/%s.lua"):format(dir, wrong), failure.hint, 1, true)
      assert.matches("the built-in verbs", failure.hint, 1, true)
    end
    assert.equal("there is no verb 'teleport'",
      select(2, pcall(finder.missing, finder, "teleport")).message)
  end)
end)
