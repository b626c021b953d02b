-- Where a body decides on what only a run can tell. Lua asks no metamethod for `x == "text"` or `if x then`: so each line
-- that is about to run is looked at, and the names in its conditions and comparisons are looked up.
local fs = require "orch.fs"
local unknown = require "orch.unknown"

local LINES_MAX <const> = 100000 -- of a file that are looked at

local WORDS <const> = { ["and"] = true, ["or"] = true, ["not"] = true, ["nil"] = true, ["true"] = true, ["false"] = true }

-- { "job.pipeline.git.branch", … }: what a line of a program decides on, as far as a line tells.
local function names_in(text)
  text = text:gsub("%-%-.*$", ""):gsub('"[^"]*"', '""'):gsub("'[^']*'", '""')
  text = text:gsub("([%w_])%b()", "%1()") -- what is given to a function is the function's matter
  local names = {}
  local function add(name, after)
    if not WORDS[name] and not name:find("^%d") and not after:find("^%s*[({\":%[.]") then names[#names + 1] = name end
  end
  local condition = text:match("%f[%a]e?l?s?e?if%f[%A](.-)%f[%a]then%f[%A]") or text:match("%f[%a]while%f[%A](.-)%f[%a]do%f[%A]")
    or text:match("%f[%a]until%f[%A](.*)$")
  for name, after in (condition or ""):gmatch("%f[%w_.:\"]([%a_][%w_.]*)()") do add(name, condition:sub(after)) end
  for name in text:gmatch("([%a_][%w_.]*)%s*[=~]=") do add(name, "") end
  for name, after in text:gmatch("[=~]=%s*([%a_][%w_.]*)()") do add(name, text:sub(after)) end
  return names
end

local function lines_of(path)
  local lines = {}
  for text in ((fs.read(path) or "") .. "\n"):gmatch("([^\n]*)\n") do
    if #lines == LINES_MAX then break end
    lines[#lines + 1] = text
  end
  return lines
end

-- What a name means to the function at that level of the stack, counted from here.
local function variable(level, name)
  local i, found, value = 1, false, nil
  while true do
    local each, its = debug.getlocal(level + 1, i)
    if not each then break end
    if each == name then found, value = true, its end
    i = i + 1
  end
  if found then return value end
  local f = debug.getinfo(level + 1, "f").func
  i = 1
  while true do
    local each, its = debug.getupvalue(f, i)
    if not each then return nil end
    if each == name then return its end
    i = i + 1
  end
end

local function field(value, key) return value[key] end

-- The value of "a.b.c", which runs nothing of the recipe's.
local function look_up(level, chain)
  local first, rest = chain:match("^([^.]+)%.?(.*)$")
  local value = variable(level + 1, first)
  for key in rest:gmatch("[^.]+") do
    if unknown.is(value) then return value end
    local good, next_value = false, nil
    if type(value) == "table" then good, next_value = pcall(field, value, key) end
    if not good then return nil end
    value = next_value
  end
  return value
end

--- A watcher for the bodies of one plan: watch() looks at the lines that run in this coroutine from now on, and ends the
--- plan of the job, as other uses of an unknown value do, at the first that decides on one.
---@return { watch: fun(), leave: fun() }
local function watcher()
  local files, found = {}, {}
  local function names_at(source, line)
    local key = source .. ":" .. line
    if not found[key] then
      local path = source:sub(2)
      files[path] = files[path] or lines_of(path)
      found[key] = names_in(files[path][line] or "")
    end
    return found[key]
  end
  local function on_line(_, line)
    local source = debug.getinfo(2, "S").source
    if source:sub(1, 1) ~= "@" or source:find("^@lua/orch/") or source:find("/lua/orch/", 1, true) then return end
    for _, name in ipairs(names_at(source, line)) do unknown.refuse(look_up(2, name)) end
  end
  return { watch = function() debug.sethook(on_line, "l") end, leave = function() debug.sethook() end }
end

return { watcher = watcher, names_in = names_in }
