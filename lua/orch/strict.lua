-- Tables in which a missing key names itself, as a recipe's typo should.
local nearest = require "orch.nearest"
local options = require "orch.options"

---@param values table changed
---@param what string "job.params"
---@param known? string[] keys that may be nil
---@return table values
local function strict(values, what, known)
  return setmetatable(values, { __index = function(_, key)
    if known and nearest.contains(known, key) then return nil end
    local names = {}
    for name in next, values do
      if type(name) == "string" then names[#names + 1] = name end
    end
    table.sort(names)
    options.usage("%s has no '%s'%s", what, tostring(key), nearest.hint(tostring(key), known or names))
  end })
end

return { strict = strict }
