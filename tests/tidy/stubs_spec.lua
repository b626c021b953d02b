-- The stubs in lua/orch/meta name what the engine registers, all of it and nothing else.
local fs = require "orch.fs"

package.path = "tests/tidy/?.lua;" .. package.path
local sources = require "sources"

-- Types whose methods a stub describes, by the name of the local table that stands for them in it.
local TYPES <const> = {
  ["orch.task"] = { "task", "running" }, ["orch.proc.child"] = { "proc", "child" },
  ["orch.db.database"] = { "db", "database" }, ["orch.fs.lock"] = { "fs", "lock" },
  ["orch.secret.masker"] = { "secret", "masker" }, ["orch.secret.stream"] = { "secret", "stream" },
}

local function stub_of(name) return assert(fs.read("lua/orch/meta/" .. name .. ".lua")) end

-- The names that a stub gives to the table: functions, and fields that are documented on a class of
-- that name.
local function described(stub, object, separator)
  local names = {}
  for name in stub:gmatch("\nfunction " .. object .. "%" .. separator .. "([%w_]+)%(") do
    names[name] = "function"
  end
  return names
end

local function returned(stub) return assert(stub:match("\nreturn ([%w_]+)%s*$")) end

local function sorted(set)
  local list = {}
  for name in pairs(set) do list[#list + 1] = name end
  table.sort(list)
  return list
end

describe("stubs", function()
  for _, full in ipairs(sorted(sources.modules())) do
    local name = full:match("^orch%.(.*)$")
    it("of orch." .. name .. " describe its functions and its values", function()
      local stub, functions = stub_of(name), {}
      for key, value in pairs(require("orch." .. name)) do
        if type(value) == "function" then
          functions[key] = true
        else
          assert.matches("%-%-%-@field " .. key .. " ", stub)
        end
      end
      assert.is_true(next(functions) ~= nil)
      assert.same(sorted(functions), sorted(described(stub, returned(stub), ".")))
    end)
  end

  it("describe the methods of every object", function()
    local seen = {}
    for key, metatable in pairs(debug.getregistry()) do
      local methods = type(key) == "string" and key:find("^orch%.") and type(metatable) == "table"
        and rawget(metatable, "__index")
      if type(methods) == "table" and next(methods) then seen[key] = sorted(methods) end
    end
    for type_name, place in pairs(TYPES) do
      assert.is_table(seen[type_name], type_name)
      assert.same(seen[type_name], sorted(described(stub_of(place[1]), place[2], ":")), type_name)
    end
    for type_name, methods in pairs(seen) do
      local module = type_name:match("^orch%.([%w_]+)")
      local stub = stub_of(module)
      for _, method in ipairs(methods) do
        assert.matches("\nfunction [%w_]+:" .. method .. "%(", stub, type_name .. ":" .. method)
      end
    end
  end)

  it("tell parameters and results of each function, and are Lua", function()
    local count = 0
    for _, file in ipairs(fs.list("lua/orch/meta")) do
      local stub, told, said = stub_of(file:match("^(.*)%.lua$")), {}, false
      assert.matches("^%-%-%-@meta", stub, file)
      assert.is_function(load(stub, "=" .. file))
      for line in stub:gmatch("[^\n]*") do
        local name, parameters = line:match("^function ([%w_.:]+)(%b()) end$")
        for parameter in (parameters or ""):gmatch("[%w_.]+") do
          assert.is_true(told[parameter],
            ("%s: %s does not tell of %s"):format(file, name, parameter))
        end
        if name then
          assert.is_true(said, ("%s: nothing is said of %s"):format(file, name))
          count = count + 1
        end
        local parameter = line:match("^%-%-%-@param ([%w_.]+)%?? %S")
        if parameter then told[parameter] = true end
        if line:find("^%-%-%-") then said = true else told, said = {}, false end
      end
    end
    assert.is_true(count > 70, count)
  end)
end)
