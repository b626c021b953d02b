-- Expressions of CI services, which mean nothing here: ${{ github.sha }}, << pipeline.number >>.

-- What to write for what stands between the braces.
local INSTEAD <const> = {
  { "^secrets%.([%w_]+)$", 'secrets = { "%s" } in the job and the step, and $%s in the command' },
  { "^env%.([%w_]+)$", "$%s" },
  { "^inputs%.([%w_]+)$", "job.params.%s" },
  { "^github%.event%.inputs%.([%w_]+)$", "job.params.%s" },
  { "^pipeline%.parameters%.([%w_]+)$", "job.params.%s" },
  { "^parameters%.([%w_]+)$", "job.params.%s" },
  { "^matrix%.([%w_]+)$", "job.matrix.%s" },
  { "^needs%.([%w_]+)%.outputs%.([%w_]+)$", "job.needs.%s.%s" },
  { "^github%.sha$", "job.pipeline.git.revision" },
  { "^github%.ref_name$", "job.pipeline.git.branch" },
  { "^github%.run_number$", "job.pipeline.number" },
  { "^(pipeline%.[%w_.]+)$", "job.%s" },
}

local GITHUB <const> = "%${{%s*(.-)%s*}}"
local CIRCLE <const> = "<<%s*([pm][%a]+%.[%w_.]+)%s*>>" -- pipeline, parameters, matrix
local CHECKSUM <const> = '{{%s*checksum%s+"(.-)"%s*}}'

local function instead(inner)
  for _, each in ipairs(INSTEAD) do
    local first, second = inner:match(each[1])
    if first then return (each[2]:format(first, second or first)) end
  end
end

--- The first such expression of a text, and what to do about it; nil when there is none.
---@param text any
---@return string? expression
---@return string? hint
local function find(text)
  if type(text) ~= "string" then return nil end
  local file = text:match(CHECKSUM)
  if file then
    return text:match("{{.-}}"), ('key = "name", files = { "%s" }: their hash ends the key'):format(file)
  end
  local from, to, inner = text:find(GITHUB)
  if not from then from, to, inner = text:find(CIRCLE) end
  if not from then return nil end
  local value = instead(inner)
  return text:sub(from, to),
    value and "write " .. (value:find("^job") and '"…" .. ' .. value or value)
      or "join the text with a Lua value: \"…\" .. value"
end

-- What is a file's text may be meant for such a service.
local TEXTS <const> = { text = true, dockerfile = true, doc = true }

--- The same of a step's options, which may be lists.
---@param options table
local function find_in(options)
  for name, value in pairs(options) do
    for _, each in ipairs(TEXTS[name] and {} or type(value) == "table" and value or { value }) do
      local expression, hint = find(each)
      if expression then return expression, hint end
    end
  end
end

return { find_in = find_in }
