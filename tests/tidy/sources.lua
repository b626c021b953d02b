-- The files that the tidy specs read.
local fs = require "orch.fs"

-- Files below a directory whose name ends so, in order; paths from the working directory.
local function below(dir, ending)
  local found = {}
  local function visit(path)
    for _, name in ipairs(assert(fs.list(path))) do
      local each = path .. "/" .. name
      if fs.stat(each).type == "directory" then
        visit(each)
      elseif name:sub(-#ending) == ending then
        found[#found + 1] = each
      end
    end
  end
  visit(dir)
  return found
end

local function split(text)
  local lines = {}
  for line in (text .. "\n"):gmatch("(.-)\n") do lines[#lines + 1] = line end
  if lines[#lines] == "" then lines[#lines] = nil end
  return lines
end

local function lines_of(path) return split(assert(fs.read(path))) end

-- The text with what stands in comments and strings of C blanked; lines keep their numbers.
local function code_of(text)
  local out, at = {}, 1
  local function blank(piece) return (piece:gsub("[^\n]", " ")) end
  while at <= #text do
    local from = text:find('["\'/]', at)
    if not from then break end
    out[#out + 1] = text:sub(at, from - 1)
    local to
    if text:find("^/%*", from) then
      to = select(2, text:find("*/", from + 2, true)) or #text
    elseif text:find("^//", from) then
      to = (text:find("\n", from, true) or #text + 1) - 1
    elseif text:sub(from, from) == "/" then
      to = from
    else
      local quote = text:sub(from, from)
      to = from + 1
      while to <= #text and text:sub(to, to) ~= quote do
        to = to + (text:sub(to, to) == "\\" and 2 or 1)
      end
    end
    out[#out + 1] = to == from and "/" or blank(text:sub(from, to))
    at = to + 1
  end
  out[#out + 1] = text:sub(at)
  return table.concat(out)
end

-- What may begin at a place: a comment, which stays, or a text, of which only its line breaks do.
local COMMENTS <const> = { "^%-%-%[(=*)%[.-%]%1%]", "^%-%-[^\n]*", "^/%*.-%*/" }
local TEXTS <const> = { "^%[(=*)%[.-%]%1%]" }

local function quoted(text, from)
  local to = from + 1
  while to < #text and text:sub(to, to) ~= text:sub(from, from) do
    to = to + (text:sub(to, to) == "\\" and 2 or 1)
  end
  return from, to
end

local function first_of(patterns, text, from)
  for _, pattern in ipairs(patterns) do
    local _, to = text:find(pattern, from)
    if to then return from, to end
  end
end

--- The text of a file without what its strings say; lines keep their numbers.
local function without_texts(text)
  local out, at = {}, 1
  for _ = 1, #text do
    local from = text:find("[\"'%[%-/]", at)
    if not from then break end
    out[#out + 1] = text:sub(at, from - 1)
    local start, to = first_of(COMMENTS, text, from)
    if not start then
      start, to = first_of(TEXTS, text, from)
      if not start and text:find("^[\"']", from) then start, to = quoted(text, from) end
      out[#out + 1] = start and text:sub(start, to):gsub("[^\n]", "") or text:sub(from, from)
    else
      out[#out + 1] = text:sub(start, to)
    end
    at = (to or from) + 1
  end
  out[#out + 1] = text:sub(at)
  return table.concat(out)
end

-- The modules written in C, by name, as engine/bind/modules.c lists them.
local function modules()
  local text, found = assert(fs.read("engine/bind/modules.c")), {}
  for name in text:gmatch('{"(orch%.[%w_]+)"') do found[name] = true end
  for name in assert(text:match("mapped%[%] = (%b{})")):gmatch('"([%w_]+)"') do
    found["orch." .. name] = true
  end
  return found
end

return { modules = modules, below = below, split = split, lines_of = lines_of, code_of = code_of,
  without_texts = without_texts }
