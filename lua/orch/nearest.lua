-- "Did you mean": the known names nearest to one that is not known.

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

--- The nearest known name, or nil when none is near.
---@param name string
---@param known string[]
local function find(name, known)
  local best, best_distance = nil, math.max(2, #name // 3) + 1
  for _, each in ipairs(known) do
    local d = distance(name:lower(), each:lower())
    local alike = d < math.max(#name, #each) -- else they have no letter in common
    if alike and d < best_distance then best, best_distance = each, d end
  end
  return best or extended(name, known)
end

--- "; did you mean 'x'? (known: a, b, x)", to end a sentence with.
local function hint(name, known)
  local best = find(name, known)
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
