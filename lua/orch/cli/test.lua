-- orch test [FILE | DIR]… [--json]: runs the tests of recipes
local error_value = require "orch.error"
local args = require "orch.cli.args"
local fs = require "orch.fs"
local json = require "orch.json"
local recipe = require "orch.recipe"
local rehearsal = require "orch.rehearsal"
local say = require "orch.cli.say"
local step = require "orch.step"

local DEPTH_MAX <const> = 6 -- of directories that are looked through

local Test = {}
Test.__index = Test

--- The recipe's path is relative to the file of the test.
function Test:run(path, spec)
  return rehearsal.run(self.dir and path:sub(1, 1) ~= "/" and self.dir .. "/" .. path or path, spec)
end

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for key, value in pairs(a) do
    if not same(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

local function shown(value)
  local good, text = pcall(json.encode, value)
  return good and text or tostring(value)
end

--- Fails the test unless both are the same, tables by what is in them.
function Test.equal(_, expected, got, what)
  if same(expected, got) then return end
  error(error_value.new { kind = "failed", where = step.caller(),
    message = ("%sexpected %s, got %s"):format(what and what .. ": " or "", shown(expected),
      shown(got)) }, 0)
end

local function add_files(files, path, depth)
  for _, name in ipairs(fs.list(path) or {}) do
    local each = path == "." and name or path .. "/" .. name
    local stat = fs.stat(each)
    if stat and stat.type == "directory" then
      if depth < DEPTH_MAX and not name:find("^%.") and name ~= "node_modules" then
        add_files(files, each, depth + 1)
      end
    elseif name:find("_test%.lua$") then
      files[#files + 1] = each
    end
  end
end

local function files_of(paths)
  local files = {}
  for _, path in ipairs(paths) do
    local stat, failure = fs.stat(path)
    if not stat then error(failure, 0) end
    if stat.type == "directory" then add_files(files, path, 1) else files[#files + 1] = path end
  end
  if #files == 0 then
    error(error_value.new { kind = "missing",
      message = ("no *_test.lua in %s"):format(table.concat(paths, ", ")),
      hint = "write one with: orch new test NAME" }, 0)
  end
  return files
end

-- The tests of a file in the order of its lines.
local function tests_of(path)
  local value, tests = recipe.evaluate(path), {}
  for name, f in pairs(type(value) == "table" and value or {}) do
    if type(name) ~= "string" or type(f) ~= "function" then value = nil end
    tests[#tests + 1] = { name = name, f = f,
      line = type(f) == "function" and debug.getinfo(f, "S").linedefined or 0 }
  end
  if type(value) ~= "table" then
    error(error_value.new { kind = "usage",
      message = path .. " must return a table of tests: [\"what it does\"] = function(t) … end" },
      0)
  end
  table.sort(tests, function(a, b)
    return a.line < b.line or a.line == b.line and a.name < b.name
  end)
  return tests
end

local function at_its_line(failure)
  local value = error_value.on_error(failure)
  value.where = value.where or step.caller()
  return value
end

local function perform(path, test)
  local t = setmetatable({ dir = path:match("^(.*)/[^/]*$") }, Test)
  local good, failure = xpcall(test.f, at_its_line, t)
  local told = { file = path, name = test.name, passed = good }
  if not good then
    told.message, told.where, told.hint = failure.message,
      failure.where or ("%s:%d"):format(path, test.line), failure.hint
  end
  return told
end

local function print_one(told)
  say(("  %-4s  %s"):format(told.passed and "ok" or "FAIL", told.name))
  if told.passed then return end
  local message = told.message
  if message:sub(1, #told.where + 2) == told.where .. ": " then
    message = message:sub(#told.where + 3)
  end
  say(("        %s: %s"):format(told.where, message))
  if told.hint then say("        try: " .. told.hint) end
end

local SPEC <const> = { command = "test", positional = {}, rest = true,
  flags = { json = "boolean" } }

local function main(given)
  local parsed = args.parse(SPEC, given)
  local results, failed = json.array {}, 0
  for _, path in ipairs(files_of(#parsed.rest > 0 and parsed.rest or { "." })) do
    if not parsed.json then say(path) end
    for _, test in ipairs(tests_of(path)) do
      local told = perform(path, test)
      results[#results + 1], failed = told, failed + (told.passed and 0 or 1)
      if not parsed.json then print_one(told) end
    end
  end
  if parsed.json then
    print(json.encode({ passed = #results - failed, failed = failed, tests = results },
      { pretty = true }))
  else
    print(("%d passed, %d failed"):format(#results - failed, failed))
  end
  return failed > 0 and 1 or 0
end

return { main = main, spec = SPEC }
