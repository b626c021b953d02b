-- The Dockerfile of a build: where it is, and which of its lines a step of the build stands for.
local error_value = require "orch.error"
local fs = require "orch.fs"
local listing = require "orch.listing"

local TEXT_MAX <const> = 4 * 1024 * 1024
local SIMILAR_MAX <const> = 8
local USUAL <const> = "Dockerfile"

-- Steps that BuildKit counts in "[stage 2/5]".
local COUNTED <const> = { RUN = true, COPY = true, ADD = true, WORKDIR = true }

local function directory_of(path) return path:match("^(.*)/[^/]*$") end

local function similar(files, dir)
  local names = {}
  for _, name in ipairs(files.list(dir) or {}) do
    local low = name:lower()
    if (low:find("dockerfile", 1, true) or low:find("containerfile", 1, true))
      and not low:find("%.dockerignore$")
      and #names < SIMILAR_MAX then
      names[#names + 1] = name
    end
  end
  return table.concat(names, ", ")
end

local function missing(job, name, context, path)
  if not context.copied and not context.files.list(context.dir) then
    error(listing.explain(error_value.new { kind = "missing", op = "docker build",
      message = ("no directory '%s' to build from"):format(context.label or context.dir) }, job,
        context.dir), 0)
  end
  local near = similar(context.files, context.dir)
  error(error_value.new { kind = "missing", op = "docker build",
    message = ("no Dockerfile '%s' in %s%s"):format(name, context.label or context.dir,
      near ~= "" and "; there is: " .. near or ""),
    hint = "looked for " .. path }, 0)
end

-- Its path in the context; nil when it lies elsewhere, as the job sees it. A copy of a context is
-- on this machine: what is not in it is nothing that the job could name.
local function inner(job, name, context)
  local absolute = name:sub(1, 1) == "/"
  if context.copied and absolute then return nil end
  local root = fs.join(context.copied and "/" or job.dir, context.dir)
  local path = fs.join(root, name)
  local top = root == "/" and root or root .. "/"
  if path:sub(1, #top) == top then return path:sub(#top + 1) end
  if context.copied then
    error(error_value.new { kind = "usage", op = "docker build",
      message = ("docker_build: the Dockerfile '%s' leads out of the context %s"):format(name,
        context.label) }, 0)
  end
end

--- Finds it. A name with a line break is the text itself; an absolute path is the job's; where
--- there is no Dockerfile, a dockerfile will do, as with docker.
---@param job orch.Job
---@param name string
---@param context table of build_context.open
---@return { text: string, inline: boolean, dir?: string, name: string } dir to serve it from, name in that
local function find(job, name, context)
  if name:find("\n", 1, true) then return { text = name, inline = true, name = USUAL } end
  local inside = inner(job, name, context)
  local path = inside and context.dir .. "/" .. inside or fs.join(context.dir, name)
  local files = inside and context.files or job.fs
  if not files.stat(path) then
    if name == USUAL and files.stat(context.dir .. "/" .. USUAL:lower()) then
      return find(job, USUAL:lower(), context)
    end
    missing(job, name, context, path)
  end
  local text = assert(files.read(path, TEXT_MAX))
  if inside then return { text = text, dir = context.dir, name = inside } end
  return { text = text, outside = true, dir = directory_of(path), name = path:match("[^/]*$") }
end

-- Lines of a text, without their ends and the byte order mark.
local function lines_of(text)
  local lines = {}
  text = text:gsub("^\xEF\xBB\xBF", ""):gsub("\r\n", "\n") .. "\n"
  for line in text:gmatch("([^\n]*)\n") do lines[#lines + 1] = line end
  return lines
end

--- The parser directives at the top, "# NAME=value", by their names in lower case.
---@param text string
---@return table<string, string>
local function directives(text)
  local found, lines = {}, lines_of(text)
  for at = lines[1]:find("^#!") and 2 or 1, #lines do
    local name, value = lines[at]:match("^%s*#%s*(%a%w*)%s*=%s*(.*%S)")
    if not name then break end
    found[name:lower()] = value
  end
  return found
end

local function squeeze(text) return (text:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "")) end

local function skip_heredocs(lines, at, text)
  for dash, word in text:gmatch("<<(%-?)[\"']?([%a_][%w_]*)[\"']?") do
    repeat
      at = at + 1
      local line = lines[at]
    until not line or (dash == "-" and line:gsub("^\t+", "") or line) == word
  end
  return at
end

--- { { word, text, line } } in the order of the file; continued lines are joined, comments left
--- out.
---@param text string
local function instructions(text)
  local lines, found, at = lines_of(text), {}, 1
  local escape = directives(text).escape == "`" and "`" or "\\"
  while at <= #lines do
    local first, joined = at, {}
    while lines[at] do
      local line = lines[at]
      local comment = line:find("^%s*#") or #joined > 0 and not line:find("%S")
      local body = line:gsub("%s+$", "")
      local continued = body:sub(-1) == escape
      if not comment then joined[#joined + 1] = continued and body:sub(1, -2) or body end
      if not comment and not continued or comment and #joined == 0 then break end
      at = at + 1
    end
    local whole = squeeze(table.concat(joined, " "))
    local word = whole:match("^(%a+)%s")
    if word then
      found[#found + 1] = { word = word:upper(), text = word:upper() .. whole:sub(#word + 1),
        line = first }
      if word:upper() == "RUN" or word:upper() == "COPY" or word:upper() == "ADD" then
        at = skip_heredocs(lines, at, whole)
      end
    end
    at = at + 1
  end
  return found
end

-- The counted instruction of that number in the stage so named ("stage-1", "build"; nil: the last).
local function by_number(all, stage, number)
  local index, counts, candidates = -1, 0, {}
  for _, each in ipairs(all) do
    if each.word == "FROM" then
      index = index + 1
      local name = each.text:lower():match(" as ([%w_.-]+)$")
      counts = each.text:lower():find("^from scratch") and 0 or 1
      each.wanted = stage == nil or stage:lower() == (name or "stage-" .. index)
      candidates.stage = each.wanted
    elseif COUNTED[each.word] and candidates.stage then
      counts = counts + 1
      if counts == number then candidates[#candidates + 1] = each end
    end
  end
  return candidates[#candidates]
end

--- The instruction behind a vertex's name, "[build 2/5] RUN make"; nil when it is none.
---@param text string of the Dockerfile
---@param name string
---@return { line: integer, text: string }?
local function instruction_of(text, name)
  local head, body = name:match("^%[([^%]]*)%]%s*(.*)$")
  if not head or head == "internal" then return nil end
  local all, wanted, same = instructions(text), squeeze(body), {}
  for _, each in ipairs(all) do
    if each.text == wanted then same[#same + 1] = each end
  end
  if #same == 1 then return same[1] end
  local stage, number = head:match("^(%S+)%s+(%d+)/%d+$")
  number = tonumber(number or head:match("^(%d+)/%d+$"))
  return number and by_number(all, stage, number) or same[1]
end

--- The instruction that begins on a line.
---@param text string
---@param line integer
---@return { line: integer, text: string }?
local function instruction_at(text, line)
  for _, each in ipairs(instructions(text)) do
    if each.line == line then return each end
  end
end

-- The instruction of these words, when no other has them.
local function only(all, words)
  local found
  for _, each in ipairs(all) do
    if each.text == words then
      if found then return nil end
      found = each
    end
  end
  return found
end

--- The instruction that a builder without BuildKit says it begins: "Step 2/5 : RUN make", which
--- counts them all, or podman's "[1/2] STEP 2/3: RUN make"; nil for a line that says no such thing.
---@param text string
---@param line string
---@return { line?: integer, text: string }?
local function instruction_begun(text, line)
  local number, words = line:match("^Step (%d+)/%d+ : (.*)")
  words = squeeze(words or line:match("STEP %d+/%d+: (.*)") or "")
  if words == "" then return nil end
  local all = instructions(text)
  local known = number and all[tonumber(number)]
  if known and known.word == words:match("^%a+"):upper() then return known end
  return only(all, words) or { text = words }
end

--- The names of the stages, in their order.
---@param text string
---@return string[]
local function stage_names(text)
  local names = {}
  for _, each in ipairs(instructions(text)) do
    names[#names + 1] = each.word == "FROM" and each.text:match(" [Aa][Ss] (%S+)$") or nil
  end
  return names
end

return { directives = directives, find = find, instruction_at = instruction_at,
  instruction_begun = instruction_begun, instruction_of = instruction_of,
  instructions = instructions, stage_names = stage_names }
