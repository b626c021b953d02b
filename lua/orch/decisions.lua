-- Where a body decides on what only a run can tell. Lua asks no metamethod for `x == "text"` or `if x then`: so each line
-- that is about to run is looked at, and the names in its conditions and comparisons are looked up.
local fs = require "orch.fs"
local unknown = require "orch.unknown"

local LINES_MAX <const> = 100000 -- of a file that are looked at

local WORDS <const> = { ["and"] = true, ["or"] = true, ["not"] = true, ["nil"] = true, ["true"] = true, ["false"] = true }

-- A line without its comment and what stands in strings.
local function bare(text)
  return (text:gsub("%-%-.*$", ""):gsub('"[^"]*"', '""'):gsub("'[^']*'", '""'))
end

local function condition_in(text)
  return text:match("%f[%a]e?l?s?e?if%f[%A](.-)%f[%a]then%f[%A]") or text:match("%f[%a]while%f[%A](.-)%f[%a]do%f[%A]")
    or text:match("%f[%a]until%f[%A](.*)$")
end

-- Does a line decide on what a verb that it calls gives? As in `if job:read "f" == "x" then`.
local function decides_on(text, verb)
  text = bare(text):gsub("([%w_]%s*)%b()", "%1()"):gsub("([%w_]%s*)%b{}", "%1()"):gsub("([%w_]%s*)\"\"", "%1()")
  local call = ":" .. verb .. "%s*%(%)"
  return (condition_in(text) or ""):find(call) ~= nil or text:find(call .. "[%w_.]*%s*[=~]=") ~= nil
end

-- { "job.pipeline.git.branch", … }: what a line of a program decides on, as far as a line tells.
local function names_in(text)
  text = bare(text)
  local names = {}
  local function add(name, after)
    if not WORDS[name] and not name:find("^%d") and not after:find("^%s*[({\"%[.]") then names[#names + 1] = name end
  end
  local given = {}
  for f, name in text:gmatch("([%a_][%w_.]*)%(([%a_][%w_.]*)") do
    if f == "tonumber" or f:find("^string%.") or f:find("^math%.") then given[#given + 1] = name end
  end
  text = text:gsub("([%w_])%b()", "%1()") -- what else is given to a function is the function's matter
  local condition = condition_in(text)
  for name, after in (condition or ""):gmatch("%f[%w_.:\"]([%a_][%w_.]*)()") do add(name, condition:sub(after)) end
  for name in text:gmatch("([%a_][%w_.]*)%s*[=~]=") do add(name, "") end
  for name in text:gmatch("([%a_][%w_.]*):[%w_]+%s*[(\"][)\"]%s*[=~]=") do add(name, "") end
  if condition or text:find("[=~]=") then table.move(given, 1, #given, #names + 1, names) end
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
---@return { watch: fun(), leave: fun(), unwatched: fun(f: function, ...): any, given: fun(value: any, verb: string, where?: string): any }
local function watcher()
  local files, found = {}, {}
  local function text_at(path, line)
    files[path] = files[path] or lines_of(path)
    return files[path][line] or ""
  end
  local function names_at(source, line)
    local key = source .. ":" .. line
    found[key] = found[key] or names_in(text_at(source:sub(2), line))
    return found[key]
  end
  -- What a verb gives, on its way to the line that called it.
  local function given(value, verb, where)
    local path, line = (where or ""):match("^(.*):(%d+)$")
    if path and unknown.is(value) and decides_on(text_at(path, tonumber(line)), verb) then unknown.refuse(value) end
    return value
  end
  local function on_line(_, line)
    local source = debug.getinfo(2, "S").source
    if source:sub(1, 1) ~= "@" or source:find("^@lua/orch/") or source:find("/lua/orch/", 1, true) then return end
    for _, name in ipairs(names_at(source, line)) do unknown.refuse(look_up(2, name)) end
  end
  local function watch() debug.sethook(on_line, "l") end
  local function back(...)
    watch()
    return ...
  end
  -- Lines of the engine need no look, and there are many. A branch is watched from its first verb on.
  local function unwatched(f, ...)
    debug.sethook()
    return back(f(...))
  end
  return { given = given, unwatched = unwatched, watch = watch, leave = function() debug.sethook() end }
end

return { watcher = watcher, names_in = names_in }
