-- Tables in which a missing key names itself, as a recipe's typo should.
local error_value = require "orch.error"
local nearest = require "orch.nearest"

--- The metatable of such tables, where many have it in common.
---@param what string "job.params"
---@param known? string[] keys that may be nil
---@param advice? string what to do about a key that is not there; %s: the key
---@return table
local function kind(what, known, advice)
  return { __index = function(values, key)
    if known and nearest.contains(known, key) then return nil end
    local names = {}
    for name in next, values do
      if type(name) == "string" then names[#names + 1] = name end
    end
    table.sort(names)
    local list = known or names
    local end_of = #list > 0 and nearest.hint(tostring(key), list, known ~= nil) or ": it is empty"
    local near = end_of:find("did you mean", 1, true)
    error(error_value.new { kind = "usage",
      message = ("%s has no '%s'%s"):format(what, tostring(key), end_of),
      hint = not near and advice and advice:format(tostring(key)) or nil }, 0)
  end }
end

--- Makes a table one of its own kind.
---@param values table changed
---@return table values
local function strict(values, what, known, advice)
  return setmetatable(values, kind(what, known, advice))
end

-- What to do about a key that a job's tables do not have; %s is the key.
local advice = { secrets = 'declare it in the head of the job: secrets = { "%s" }',
  needs = 'only jobs that this one needs are there: needs = { "%s" }' }

--- The same for the outputs of that job.
---@param name string
function advice.outputs(name)
  return ("its body returns it: return { %%s = … } in job %s"):format(name)
end

return { strict = strict, kind = kind, advice = advice }
