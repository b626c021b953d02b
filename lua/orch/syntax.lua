-- What a person may want to know of a recipe that Lua cannot read, or not go on in.

local OTHERS <const> = "a recipe is a Lua file: `orch new recipe NAME` writes one"
local YAML <const> = "this looks like YAML; " .. OTHERS .. ", and README, \"Coming from a CI "
  .. "service\", has the words for it"

local function line_of(text, number)
  local at = 0
  for line in (text .. "\n"):gmatch("([^\n]*)\n") do
    at = at + 1
    if at == number then return line end
  end
end

-- The line before with something on it but a comment, and its number.
local function line_before(text, number)
  for at = number - 1, 1, -1 do
    local line = (line_of(text, at) or ""):gsub("%-%-.*$", ""):gsub("%s+$", "")
    if line ~= "" then return line, at end
  end
end

-- "'}' expected (to close '{' at line 2) near 'run'": two fields, one after the other.
local function comma(text, message)
  local number = tonumber(message:match(":(%d+): '}' expected"))
  local near = message:match(" near '?([%w_\"%[{]+)")
  if not number or not near then return nil end
  local line, at = line_before(text, number)
  if line and line_of(text, number):find("^%s*" .. near:gsub("%p", "%%%0"))
    and not line:find("[,;{(]$") then
    return ("is a ',' missing at the end of line %d?"):format(at)
  end
  return "is a ',' missing between two values?"
end

local function ending(message)
  if message:find("'end' expected", 1, true)
    or message:find("unexpected symbol near '[})]'") or message:find("near <eof>", 1, true) then
    return "is an 'end' missing before that? function, if, for and while need theirs"
  end
end

-- What other languages write otherwise: in Lua's message, in the line that it names, what to write.
local OTHERWISE <const> = {
  { "expected near", "[%w_]:%s", "a field is written name = value" },
  { "near '%[?//?'", "^%s*//", "a comment begins with --" },
  { "near '[#/]'", "^%s*[#/]", "a comment begins with --" },
  { "near '!'", "!", "it is a ~= b, and not a" },
  { "near '[&|]'", "[&|][&|]", "it is a and b, a or b" },
  { "near '[-+*/=]'", "[-+*/.]=", "it is x = x + 1" },
  { "near '%['", "%[", "a list is written { 1, 2 }" },
  { "unexpected symbol near '[+]'", '"%s*%+', "texts are joined by .., and a call then needs ( )" },
  { "unfinished string", "", "is a quote missing at the end of the line? a text of several lines "
    .. "stands in [[ … ]]" },
  { "function arguments expected", "", "a call ends with what it is given, or with (): job:checkout()" },
}

local function otherwise(text, message)
  local line = line_of(text, tonumber(message:match(":(%d+): ")) or 0) or ""
  for _, each in ipairs(OTHERWISE) do
    if message:find(each[1]) and line:find(each[2]) then return each[3] end
  end
end

--- The hint, or nil.
---@param path string
---@param text string what the file holds
---@param message string Lua's
---@return string?
local function hint(path, text, message)
  if path:find("%.ya?ml$") or text:find("^%s*[%w_-]+:%s") then return YAML end
  local lua = path:find("%.lua$") or text:find("orch", 1, true)
  if text:find("\0", 1, true) or not lua then return OTHERS end
  return otherwise(text, message) or comma(text, message) or ending(message)
end

local UNDONE <const> = {
  { "^attempt to call a table value %(for iterator", "for i, each in ipairs { … } do goes through a "
    .. "list, for key, value in pairs(t) do through any table" },
  { "^attempt to add a .*'string'", "texts are joined by .." },
  { "a nil value %(field 'std%a+'%)", "what a step printed is the output of its result, with "
    .. "capture = true: job:run { \"…\", capture = true }.output" },
  { "a nil value %(field 'output'%)", "what a step printed is kept with capture = true: "
    .. "job:run { \"…\", capture = true }.output" },
  { "a nil value %(field 'branch'%)", "if that is job.pipeline.git.branch: there is none on a "
    .. "detached HEAD; give pipeline.git.branch=NAME, or write (job.pipeline.git.branch or \"none\")" },
  { "a nil value %(field 'tag'%)", "if that is job.pipeline.git.tag: there is none on a commit "
    .. "without one; give pipeline.git.tag=NAME, or write (job.pipeline.git.tag or \"none\")" },
}

--- Gives an error that Lua itself has raised its hint.
---@param failure orch.error
local function explain(failure)
  if failure.kind ~= "usage" or failure.hint then return end
  for _, each in ipairs(UNDONE) do
    if failure.message:gsub("^[^ ]*:%d+: ", ""):find(each[1]) then failure.hint = each[2] end
  end
end

return { hint = hint, explain = explain }
