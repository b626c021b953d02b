-- A random number from 0 to 1, or a whole one from low to high; a resumed run gets what was recorded.
local verb = require "orch.verb"

return verb.define {
  options = { low = "integer?", high = "integer?" },
  run = function(_, o)
    if o.high then return math.random(o.low or 1, o.high) end
    return math.random()
  end,
}
