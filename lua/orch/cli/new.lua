-- orch new recipe|verb|test NAME: a file to start from
local error_value = require "orch.error"
local fs = require "orch.fs"
local nearest = require "orch.nearest"
local options = require "orch.options"
local receiver = require "orch.receiver"
local verb = require "orch.verb"

local KINDS <const> = { "recipe", "verb", "test" }

local RECIPE <const> = [[
-- %s: what this recipe is for, in one line.
local orch = require "orch"

local build = orch.job {
  name = "build",
  run  = function(job)
    -- job:checkout() puts the git project here; `orch verbs` lists all that a job can do.
    job:run { name = "Make something", "date > built.txt; cat built.txt" }
    return { greeting = "hello, " .. job.params.who }
  end,
}

local announce = orch.job {
  name  = "announce",
  needs = { "build" },
  run   = function(job) job:log("%%s from run %%d", job.needs.build.greeting, job.pipeline.number) end,
}

return orch.pipeline {
  params = { who = { "string", default = "world" } },
  build,
  announce,
}
]]

local VERB <const> = [[
-- %s does one thing; say in one line what (`orch verbs` shows it).
local orch = require "orch"

return orch.verb {
  positional = "text",                      -- job:%s "x" stands for job:%s { text = "x" }
  options = {
    text  = "string",
    times = { "integer", default = 1 },
  },
  returns = "{ length: integer }",          -- what an editor shows
  run = function(job, o)
    for _ = 1, o.times do job:log("%%s", o.text) end
    return { length = #o.text }             -- what the caller gets
  end,
}
]]

local TEST <const> = [[
-- Tests of %s.lua; `orch test` runs them, `orch help test` says what t can do.
return {
  ["does all its jobs"] = function(t)
    local run = t:run("%s.lua", {
      pipeline = { number = 7 },
      verbs = { run = { code = 0, output = "" } },  -- what a verb gives: a value, or function(options, job) … end
    })
    for name, job in pairs(run.jobs) do t:equal("success", job.state, name) end
    assert(#run:calls "run" > 0, "it runs nothing")
  end,
}
]]

local MADE <const> = {
  recipe = { path = "%s.lua", text = RECIPE, told = "%s; run it with: orch run %s" },
  verb = { path = "verbs/%s.lua", text = VERB,
    told = "%s; recipes beside verbs/ call it as job:%s { … }" },
  test = { path = "%s_test.lua", text = TEST, told = "%s; run it with: orch test %s" },
}

local function write_new(path, text)
  if fs.stat(path) then
    error(error_value.new { kind = "conflict", message = path .. " is there already" }, 0)
  end
  local dir = path:match("^(.*)/[^/]*$")
  if dir then assert(fs.make_dir(dir)) end
  assert(fs.write(path, text))
end

local function check_verb(name)
  local message
  if verb.is_built_in(name) then
    message = ("'%s' is a verb of orch's own, which verbs/%s.lua would take the place of"):format(name,
      name)
  elseif receiver.is_own(name) then
    message = ("job.%s is there without a verb, and would still be what it is"):format(name)
  elseif not load(("return job:%s {}"):format(name)) then
    message = ("'%s' is a word of Lua's own, which no verb can be called by"):format(name)
  end
  if message then
    error(error_value.new { kind = "conflict", message = message, hint = "give it another name" }, 0)
  end
end

local function main(args)
  local what, name = args[1], args[2]
  if what and not nearest.contains(KINDS, what) then
    options.usage("orch new: there is no '%s' to make%s", what, nearest.hint(what, KINDS))
  end
  if not name or args[3] then
    options.usage("orch new: orch new recipe NAME, orch new verb NAME, or orch new test NAME")
  end
  name = name:gsub("%.lua$", "")
  if not name:match("^[%a_][%w_]*$") then
    options.usage("orch new: '%s' must be letters, digits and _, not beginning with a digit", name)
  end
  if what == "verb" then check_verb(name) end
  local made = MADE[what]
  local path = made.path:format(name)
  write_new(path, made.text:format(name, name, name))
  print(made.told:format(path, what == "verb" and name or path))
  return 0
end

return { main = main }
