-- "Did you mean": the known names nearest to one that is not known.
local synonyms = require "orch.synonyms"

-- Edits (insert, delete, replace, swap neighbours) that turn a into b.
local function distance(a, b)
  local before, row = nil, {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local last = row
    row = { [0] = i }
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      row[j] = math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + cost)
      if before and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        row[j] = math.min(row[j], before[j - 2] + 1)
      end
    end
    before = last
  end
  return row[#b]
end

local SHORT_MIN <const> = 3 -- letters of a name cut short

-- The one known name that begins with this one, or that this one begins with.
local function extended(name, known)
  local found
  for _, each in ipairs(known) do
    local short, long = name:lower(), each:lower()
    if #short > #long then short, long = long, short end
    if #short >= SHORT_MIN and long:sub(1, #short) == short then
      if found then return nil end
      found = each
    end
  end
  return found
end

-- Names of three letters that differ in two are not alike.
local function alike(d, longer) return d < longer and (d == 1 or 2 * d < longer) end

--- The nearest known name, or nil when none is near.
---@param name string
---@param known string[]
---@param ours? boolean they are words of orch's own: what other tools call so is nearest
local function find(name, known, ours)
  local meant = ours and synonyms.find(name, known)
  if meant then return meant end
  local best, best_distance = nil, math.max(2, #name // 3) + 1
  for _, each in ipairs(known) do
    local d = distance(name:lower(), each:lower())
    if alike(d, math.max(#name, #each)) and d < best_distance then best, best_distance = each, d end
  end
  return best or extended(name, known)
end

--- "; did you mean 'x'? (known: a, b, x)", to end a sentence with.
---@param ours? boolean see find
local function hint(name, known, ours)
  local best = find(name, known, ours)
  local list = #known > 0 and (" (known: %s)"):format(table.concat(known, ", ")) or ""
  return (best and ("; did you mean '%s'?"):format(best) or "") .. list
end

local function contains(list, value)
  for _, each in ipairs(list) do
    if each == value then return true end
  end
  return false
end

return { find = find, hint = hint, contains = contains }
