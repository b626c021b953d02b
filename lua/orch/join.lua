-- A recipe's table.concat.
local function is_plain(value) return type(value) ~= "userdata" and type(value) ~= "table" end

local function all_plain(list, from, to)
  for i = from, to do
    if not is_plain(list[i]) then return false end
  end
  return true
end

--- As table.concat, also for what only `..` can join: secrets, and the unknown values of a plan.
local function join(list, separator, from, to)
  from, to = from or 1, to or type(list) == "table" and #list or 0
  if type(list) ~= "table" or is_plain(separator) and all_plain(list, from, to) then
    return table.concat(list, separator, from, to)
  end
  local joined = from <= to and list[from] or ""
  for i = from + 1, to do joined = joined .. (separator or "") .. list[i] end
  return joined
end

return join
