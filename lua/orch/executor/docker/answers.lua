-- What the payloads of the shim in a container say (engine/shim/wire.h). A program that runs there
-- as root can put words in its mouth: whatever they are, they become a value or an error.
local error_value = require "orch.error"

local TYPES <const> = { file = true, directory = true, link = true, other = true }
local WHY <const> = { [""] = true, cancelled = true, timeout = true, quiet = true }

--- The texts of a payload.
---@param payload string
---@return string[]
local function texts(payload)
  local list = {}
  for text in payload:gmatch("([^\0]*)\0") do list[#list + 1] = text end
  return list
end

local function garbled(what, op)
  return error_value.new { kind = "remote", op = op,
    message = "what answers in the container is not orch's own program: it told no " .. what,
    hint = "has a step with root's rights changed /.orch?" }
end

-- The text as a whole number from 0 on; nil when it is none.
local function count(text)
  local number = text and text:find "^%d+$" and math.tointeger(text)
  return number and number >= 0 and number or nil
end

--- The error that an e frame tells of.
---@param payload string
---@param op? string
---@return orch.error
local function failure(payload, op)
  local kind, code, message = table.unpack(texts(payload), 1, 3)
  local good, err = pcall(error_value.new, { kind = kind, code = code and math.tointeger(code),
    message = message, op = op })
  return good and kind and err or garbled("error", op)
end

--- How a program ended; why: "cancelled", "timeout", "quiet", or "" when it did by itself.
---@param payload string
---@return orch.proc.result? result without seconds; with out_of_memory where the kernel ended it
---@return string|orch.error why
local function ending(payload)
  local word, value, user, system, rss, why, oom_kills = table.unpack(texts(payload), 1, 7)
  value, user, system = count(value), count(user), count(system)
  rss, oom_kills = count(rss), count(oom_kills)
  local known = (word == "exit" or word == "signal") and WHY[why or 0]
  if not (known and value and value < 256 and user and system and rss and oom_kills) then
    return nil, garbled("end of a program")
  end
  return { code = word == "exit" and value or -1, signal = word == "signal" and value or nil,
    user = user / 1e6, system = system / 1e6, max_rss = rss * 1024,
    out_of_memory = oom_kills > 0 or nil }, why
end

--- Who the container's user is.
---@param payload string
---@return table? identity { uid, gid, groups, environment }
---@return orch.error? err
local function identity(payload)
  local list = texts(payload)
  local groups = count(list[3])
  local self = { uid = count(list[1]), gid = count(list[2]), groups = {}, environment = {} }
  if not (self.uid and self.gid and groups and groups <= #list - 3) then
    return nil, garbled "user"
  end
  for i = 1, groups do
    self.groups[i] = count(list[3 + i])
    if not self.groups[i] then return nil, garbled "user" end
  end
  for i = 4 + groups, #list do
    local name, value = list[i]:match("^([^=]+)=(.*)$")
    if name then self.environment[name] = value end
  end
  return self
end

--- What fs.stat gives.
---@param payload string
---@return table? stat, orch.error? err
local function stat(payload)
  local type_name, size, mode, uid, gid, mtime = table.unpack(texts(payload), 1, 6)
  local self = { type = TYPES[type_name or 0] and type_name, size = count(size), mode = count(mode),
    uid = count(uid), gid = count(gid),
    mtime = mtime and mtime:find "^-?%d+%.%d+$" and tonumber(mtime) }
  if not (self.type and self.size and self.mode and self.uid and self.gid and self.mtime) then
    return nil, garbled "facts of a file"
  end
  return self
end

--- One text, as of a path.
---@param payload string
---@return string? text, orch.error? err
local function text(payload)
  local first = texts(payload)[1]
  if not first then return nil, garbled "path" end
  return first
end

return { texts = texts, text = text, failure = failure, ending = ending, identity = identity,
  stat = stat }
