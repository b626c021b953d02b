-- A question that a run asks of a person, and what may be answered.
local error_value = require "orch.error"
local options = require "orch.options"
local secret = require "orch.secret"

local YES <const> = { y = true, yes = true, ["true"] = true, approve = true, approved = true }
local NO <const> = { n = true, no = true, ["false"] = true, reject = true, rejected = true }

---@class orch.Question
---@field id string
---@field question? string
---@field type "approval"|"code"|"string"|"integer"|"number"|"boolean"
---@field default? any what an empty line at a terminal stands for
---@field enum? any[]
---@field pattern? string
---@field min? number
---@field max? number

local function approval(o, text)
  local lower = text:lower()
  if YES[lower] then return true end
  if NO[lower] then
    error(error_value.new { kind = "failed",
      message = ("not approved: %s"):format(o.question or o.id) }, 0)
  end
  options.usage("answer '%s': yes or no, got '%s'", o.id, text)
end

--- The text of an answer as the value that was asked for; raises kind usage when it is none, and
--- kind failed when it says no.
---@param o orch.Question
---@param text string
---@return any
local function value(o, text)
  if o.type == "approval" then return approval(o, text) end
  if o.type == "code" then
    if text == "" then options.usage("answer '%s': a code, got an empty line", o.id) end
    return secret.new(text, o.id)
  end
  local schema =
    options.schema { [o.id] = { o.type, enum = o.enum, pattern = o.pattern, min = o.min,
    max = o.max } }
  return schema:check("answer", { [o.id] = schema:from_text("answer", o.id, text) })[o.id]
end

--- What may be answered, in words: "yes/no", "test/live", "whole number".
---@param o orch.Question
---@return string?
local function choices(o)
  local words = { approval = "yes/no", boolean = "true/false", integer = "whole number",
    number = "number", code = "code" }
  local text = words[o.type]
  if o.enum then
    local list = {}
    for i, each in ipairs(o.enum) do list[i] = tostring(each) end
    text = table.concat(list, "/")
  end
  if o.default == nil then return text end
  return ("%sEnter: %s"):format(text and text .. ", " or "", tostring(o.default))
end

return { value = value, choices = choices }
