-- Tables in which a missing key names itself, as a recipe's typo should.
local error_value = require "orch.error"
local nearest = require "orch.nearest"

---@param values table changed
---@param what string "job.params"
---@param known? string[] keys that may be nil
---@param advice? string what to do about a key that is not there; %s: the key
---@return table values
local function strict(values, what, known, advice)
  return setmetatable(values, { __index = function(_, key)
    if known and nearest.contains(known, key) then return nil end
    local names = {}
    for name in next, values do
      if type(name) == "string" then names[#names + 1] = name end
    end
    table.sort(names)
    local list = known or names
    error(error_value.new { kind = "usage", hint = advice and advice:format(tostring(key)),
      message = ("%s has no '%s'%s"):format(what, tostring(key),
        #list > 0 and nearest.hint(tostring(key), list) or ": it is empty") }, 0)
  end })
end

return { strict = strict }
