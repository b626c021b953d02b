-- What a test can leave behind: a set of names for each kind of thing that is there now.
local json = require "orch.json"
local lfs = require "lfs"
local task = require "orch.task"

-- Where /tmp is the suite's own, each new entry in it is a test's; else nobody could say.
local temporary <const> = os.getenv "ORCH_TEST_TMP" and "/tmp"
-- Stands in the environment of all that the suite starts, those whose parent is gone included.
local mark <const> = os.getenv "ORCH_TEST_MARK"
local me <const> = lfs.symlinkattributes("/proc/self", "target")
-- Sockets that may be more than before: the connections that a pool keeps for a next request, which
-- nobody can tell from others here, and the pair by which libcurl wakes itself.
local SLACK <const> = { sockets = 16 + 2 }

local function each_name(dir)
  local list = {}
  for name in lfs.dir(dir) do
    if name ~= "." and name ~= ".." then list[#list + 1] = name end
  end
  return ipairs(list)
end

local function content(path)
  local file = io.open(path)
  local text = file and file:read "a"
  if file then file:close() end
  return text or ""
end

-- Kept for good once they are needed: what libuv polls with, randomness of libraries.
local KEPT <const> = { "^anon_inode:%[event", "^anon_inode:%[io_uring", "^/dev/u?random" }

local function kept(target)
  for _, pattern in ipairs(KEPT) do
    if target:find(pattern) then return true end
  end
  return false
end

local function descriptors()
  local open, sockets = {}, 0
  for _, number in each_name "/proc/self/fd" do
    local target = lfs.symlinkattributes("/proc/self/fd/" .. number, "target")
    if target and target:find "^socket:" then
      sockets = sockets + 1
    elseif target and not kept(target) and not target:find "^/proc/%d+/fd$" then
      open[number .. " " .. target] = true
    end
  end
  return open, sockets
end

-- Each process: its name, state and parent. A kernel may lack /proc/self/task/N/children.
local function all_processes()
  local found = {}
  for _, pid in each_name "/proc" do
    local stat = content("/proc/" .. pid .. "/stat")
    local name, state, parent = stat:match "^%d+ %((.*)%) (%a) (%d+)"
    if name then found[pid] = { name = name, state = state, parent = parent } end
  end
  return found
end

-- How far below this process; nil when it is not.
local function depth(all, pid)
  local steps = 0
  while pid ~= me do
    if not all[pid] then return nil end
    pid, steps = all[pid].parent, steps + 1
  end
  return steps
end

-- What descends from this process, and whoever has the mark. The nursery and its keepers, which
-- stay for the next program, are counted.
local function processes()
  local all, found, stay = all_processes(), {}, 0
  for pid, each in pairs(all) do
    local below = depth(all, pid)
    if below and below <= 2 and each.name == "orch-shim" and each.state ~= "Z" then
      stay = stay + 1
    elseif below and below > 0
      or not below and mark and content("/proc/" .. pid .. "/environ"):find(mark, 1, true) then
      local state = each.state == "Z" and ", a zombie" or ""
      found[("%s (%s%s)"):format(pid, each.name, state)] = true
    end
  end
  return found, stay
end

local function files()
  local found = {}
  for _, name in each_name(temporary) do found[name] = true end
  return found
end

-- What runs label as theirs on the daemon of the tests.
local OBJECTS <const> = { container = "/containers/json?all=true&", volume = "/volumes?",
  network = "/networks?" }
local LABEL <const> = "filters=%7B%22label%22%3A%5B%22orch.run%22%5D%7D"

local function of_daemon()
  local found = {}
  for kind, path in pairs(OBJECTS) do
    local reply = require "orch.http".request { url = "http://docker" .. path .. LABEL,
      unix = os.getenv("DOCKER_HOST"):match "^unix://(.*)$" }
    local list = reply and reply.status == 200 and json.decode(reply.body) or {}
    for _, each in ipairs(list.Volumes or list) do
      found[kind .. " " .. (each.Id or each.Name)] = true
    end
  end
  return found
end

-- What is there now, for a test of that file: sets of names, and counts. Orch has a socket to each
-- of the processes that stay.
local function look(file)
  local live, open, sockets = task.live(), descriptors()
  local running, stay = processes()
  return {
    sets = { process = running, descriptor = open, file = temporary and files() or {},
      docker = file:find "e2e" and os.getenv "ORCH_TEST_DIR" and of_daemon() or {} },
    counts = { tasks = live.tasks, handles = live.handles, sockets = sockets - stay },
  }
end

--- What is there and was not before, in words.
local function added(before, now)
  local words = {}
  for kind, set in pairs(now.sets) do
    for name in pairs(set) do
      if not before.sets[kind][name] then words[#words + 1] = kind .. " " .. name end
    end
  end
  for kind, count in pairs(now.counts) do
    local more = count - before.counts[kind]
    if more > (SLACK[kind] or 0) then words[#words + 1] = ("%d %s"):format(more, kind) end
  end
  table.sort(words)
  return words
end

return { look = look, added = added }
