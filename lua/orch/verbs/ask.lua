-- Asks a person: an approval, a value, a code. A run that nobody answers is put on hold.
local error_value = require "orch.error"
local options = require "orch.options"
local secret = require "orch.secret"
local unknown = require "orch.unknown"
local verb = require "orch.verb"

local YES <const> = { y = true, yes = true, ["true"] = true, approve = true, approved = true }
local NO <const> = { n = true, no = true, ["false"] = true, reject = true, rejected = true }

-- The text of an answer as the value that was asked for.
local function read_answer(o, text)
  if o.type == "code" then return secret.new(text, o.id) end
  if o.type ~= "approval" then
    local schema = options.schema { [o.id] = { o.type, enum = o.enum, pattern = o.pattern, min = o.min, max = o.max } }
    return schema:check("answer", { [o.id] = schema:from_text("answer", o.id, text) })[o.id]
  end
  local lower = text:lower()
  if YES[lower] then return true end
  if NO[lower] then
    error(error_value.new { kind = "failed", message = ("not approved: %s"):format(o.question or o.id) }, 0)
  end
  options.usage("answer '%s': yes or no, got '%s'", o.id, text)
end

return verb.define {
  positional = "id",
  title = function(o) return o.question or "question " .. o.id end,
  options = {
    id = "string",
    question = "string?",
    type = { "string", default = "approval", enum = { "approval", "code", "string", "integer", "number", "boolean" } },
    enum = "list?",
    pattern = "string?",
    min = "number?",
    max = "number?",
  },
  plan = function(_, o) return unknown.new("answer " .. tostring(o.id)) end,
  run = function(job, o)
    local text = job:answer_to(o)
    if o.type == "code" then job:mask(secret.new(text, o.id)) end
    local value = read_answer(o, text)
    job:log("answered%s", o.type == "approval" and ": yes" or o.type ~= "code" and ": " .. tostring(value) or "")
    return value
  end,
}
