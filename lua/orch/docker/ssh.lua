-- A daemon's socket on another machine, forwarded to a socket of ours by the user's own ssh program.
local branches = require "orch.branches"
local error_value = require "orch.error"
local fs = require "orch.fs"
local proc = require "orch.proc"
local task = require "orch.task"

local READY_SECONDS <const> = 40
local POLL_SECONDS <const> = 0.02
local WORDS_MAX <const> = 4096
local SOCKET_PATH_MAX <const> = 107 -- sockaddr_un, without its NUL

-- ControlPath=none: a master of the user's would keep the forward after us.
local function command(target, socket)
  local argv = { "ssh", "-nNT", "-o", "ExitOnForwardFailure=yes", "-o", "BatchMode=yes", "-o", "ConnectTimeout=30",
    "-o", "ControlMaster=no", "-o", "ControlPath=none", "-o", "StreamLocalBindMask=0177",
    "-o", "ServerAliveInterval=15", "-o", "PermitLocalCommand=no", "-o", "ForwardAgent=no", "-o", "ForwardX11=no" }
  if target.user then table.move({ "-l", target.user }, 1, 2, #argv + 1, argv) end
  if target.port then table.move({ "-p", target.port }, 1, 2, #argv + 1, argv) end
  return table.move({ "-L", ("%s:%s"):format(socket, target.socket), "--", target.host }, 1, 4, #argv + 1, argv)
end

-- ssh and its ProxyCommand have no need of the job's secrets.
local function environment(job)
  local kept = fs.environment()
  for _, declared in ipairs(job.secret_names or {}) do kept[declared:match("^[%w_]+")] = nil end
  return kept
end

-- The job's directory for temporary files, unless the path would be too long for a socket.
local function make_dir(job)
  local name = "/docker-ssh-"
  local tmp = job.host_tmp
  if #tmp + #name + #"XXXXXX/s" <= SOCKET_PATH_MAX then return assert(fs.make_temp(tmp .. name)) end
  return assert(fs.make_temp("/tmp/orch" .. name:gsub("^/", "-")))
end

local function run(forward, argv, env)
  local child, failure = proc.start { argv = argv, env = env, grace = 2 }
  if not child then
    forward.failure = failure
    return
  end
  for bytes in child.read, child do forward.words = (forward.words .. bytes):sub(-WORDS_MAX) end
  forward.result = child:wait()
end

-- As long as the job; at its end ssh has ended and the socket is gone.
local function keep(forward, argv, env)
  local good, problem = pcall(run, forward, argv, env)
  forward.over = true
  branches.cleanup(function() fs.remove(forward.dir) end)
  if not good then error(problem, 0) end
end

local function failure_of(target, forward)
  local words = forward.words:gsub("%s+$", ""):match("[^\n]*$")
  if forward.failure then words = forward.failure.message end
  local kind = words:find("Permission denied", 1, true) and "auth" or forward.failure and forward.failure.kind or "net"
  return error_value.new { kind = kind, op = "docker",
    message = ("ssh to %s: %s"):format(target.host, words ~= "" and words or "it ended without a word"),
    hint = ("try `ssh -o BatchMode=yes %s true`; nothing is asked, so a key and the host's own key must be known")
      :format(target.host) }
end

--- Forwards the socket for as long as the job lives; returns the path of ours.
---@param job { host_tmp: string, background: function }
---@param target { user?: string, host: string, port?: string, socket: string }
---@return string path
local function open(job, target)
  local forward = { dir = make_dir(job), words = "" }
  local socket = forward.dir .. "/s"
  local running = job:background(function()
    keep(forward, command(target, socket), environment(job))
  end)
  local late = error_value.new { kind = "timeout", op = "docker",
    message = ("ssh to %s: no forward within %d s"):format(target.host, READY_SECONDS) }
  local _ <close> = setmetatable({}, { __close = function()
    if not forward.ready then running:cancel(late) end
  end })
  local deadline = task.clock() + READY_SECONDS
  while not fs.stat(socket) do
    if forward.over then error(failure_of(target, forward), 0) end
    if task.clock() > deadline then error(late, 0) end
    task.sleep(POLL_SECONDS)
  end
  forward.ready = true
  return socket
end

return { open = open, command = command }
