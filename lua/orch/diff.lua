-- Differences of two lists of lines: "- old", "+ new", with the unchanged lines around them left
-- out.

-- Lengths of the longest common subsequence of all suffixes.
local function suffix_lengths(a, b)
  local lengths = {}
  for i = #a + 1, 1, -1 do
    lengths[i] = {}
    for j = #b + 1, 1, -1 do
      if i > #a or j > #b then
        lengths[i][j] = 0
      elseif a[i] == b[j] then
        lengths[i][j] = lengths[i + 1][j + 1] + 1
      else
        lengths[i][j] = math.max(lengths[i + 1][j], lengths[i][j + 1])
      end
    end
  end
  return lengths
end

---@param a string[] old
---@param b string[] new
---@return string[] empty when they are the same
local function lines(a, b)
  local lengths, out, i, j = suffix_lengths(a, b), {}, 1, 1
  while i <= #a or j <= #b do
    if i <= #a and j <= #b and a[i] == b[j] then
      i, j = i + 1, j + 1
    elseif i <= #a and (j > #b or lengths[i + 1][j] >= lengths[i][j + 1]) then
      out[#out + 1] = "- " .. a[i]
      i = i + 1
    else
      out[#out + 1] = "+ " .. b[j]
      j = j + 1
    end
  end
  return out
end

local TEXT_MAX <const> = 2000 -- lines that differ, of either text: the cost is their product
local SHOWN_MAX <const> = 40

local function split(text)
  local list = {}
  for line in (text:sub(-1) == "\n" and text or text .. "\n"):gmatch("([^\n]*)\n") do
    list[#list + 1] = line
  end
  return list
end

-- Without what both begin and end with.
local function middle(a, b)
  local from, a_to, b_to = 1, #a, #b
  while from <= a_to and from <= b_to and a[from] == b[from] do from = from + 1 end
  while a_to >= from and b_to >= from and a[a_to] == b[b_to] do a_to, b_to = a_to - 1, b_to - 1 end
  return table.move(a, from, a_to, 1, {}), table.move(b, from, b_to, 1, {})
end

--- As lines, of two texts; cut where it gets long.
---@param a string
---@param b string
---@return string[]
local function of_texts(a, b)
  local old, new = middle(split(a), split(b))
  if #old > TEXT_MAX or #new > TEXT_MAX then
    return { ("%d lines became %d others"):format(#old, #new) }
  end
  local all = lines(old, new)
  if #all <= SHOWN_MAX then return all end
  local shown = table.move(all, 1, SHOWN_MAX, 1, {})
  shown[SHOWN_MAX + 1] = ("and %d lines more"):format(#all - SHOWN_MAX)
  return shown
end

return { lines = lines, of_texts = of_texts }
