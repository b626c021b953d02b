-- A random number from 0 to 1, or a whole one from low to high; resume gives what was recorded.
local options = require "orch.options"
local verb = require "orch.verb"

return verb.define {
  options = { low = "integer?", high = "integer?" },
  returns = "number",
  run = function(_, o)
    if o.low and not o.high then options.usage("random: 'low' needs 'high'") end
    if not o.high then return math.random() end
    if (o.low or 1) > o.high then
      options.usage("random: %d is more than %d", o.low or 1, o.high)
    end
    return math.random(o.low or 1, o.high)
  end,
}
