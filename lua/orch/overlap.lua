-- Could two patterns of paths (`*`, `?`, `[…]`, `**`) name the same file? A directory stands for
-- all that is in it.

local BRACKET <const> = "[" -- as an element: some one character

-- "a*[bc]" as { "a", "*", "[" }; "\*" is a star.
local function elements(segment)
  local list, at = {}, 1
  while at <= #segment do
    local c = segment:sub(at, at)
    local close = c == "[" and segment:find("]", at + 2, true)
    if c == "\\" and at < #segment then
      list[#list + 1] = "\\" .. segment:sub(at + 1, at + 1)
      at = at + 2
    elseif close then
      list[#list + 1] = BRACKET
      at = close + 1
    else
      list[#list + 1] = (c == "*" or c == "?") and c or "\\" .. c
      at = at + 1
    end
  end
  return list
end

local function alike(a, b)
  return a == b or a == "?" or b == "?" or a == BRACKET or b == BRACKET
end

-- Row by row: can a from i on and b from k on be the same text?
local function segments_meet(a, b)
  a, b = elements(a), elements(b)
  local below = {}
  for i = #a + 1, 1, -1 do
    local row = {}
    for k = #b + 1, 1, -1 do
      local x, y = a[i], b[k]
      if x == nil and y == nil then row[k] = true
      elseif x == "*" then row[k] = below[k] or y ~= nil and row[k + 1] or false
      elseif y == "*" then row[k] = row[k + 1] or x ~= nil and below[k] or false
      else row[k] = x ~= nil and y ~= nil and alike(x, y) and below[k + 1] or false end
    end
    below = row
  end
  return below[1]
end

local function split(path)
  local list = {}
  for segment in path:gmatch("[^/]+") do
    if segment ~= "." then list[#list + 1] = segment end
  end
  return list
end

--- Could both name one file?
---@param a string relative to the same directory
---@param b string
---@return boolean
local function overlap(a, b)
  local x, y = split(a), split(b)
  for i = 1, math.min(#x, #y) do
    if x[i] == "**" or y[i] == "**" then return true end
    if not segments_meet(x[i], y[i]) then return false end
  end
  return true
end

return { overlap = overlap }
