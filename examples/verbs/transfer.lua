-- transfer pretends to send so many bytes, and tells how far it has come.
local orch = require "orch"

local PIECES <const> = 40

return orch.verb {
  positional = "file",
  title = function(o) return "transfer " .. o.file end,
  options = { file = "string", size = { "integer", default = 50000000 },
    seconds = { "number", default = 2 } },
  run = function(job, o)
    for piece = 0, PIECES do
      job:progress { label = o.file, current = o.size * piece // PIECES, total = o.size }
      job:sleep(o.seconds / PIECES)
    end
    job:artifact { kind = "file", name = o.file }
  end,
}
