-- A daemon's socket on another machine, forwarded to a socket of ours by the user's own ssh
-- program.
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
  local argv = { "ssh", "-nNT", "-o", "ExitOnForwardFailure=yes", "-o", "BatchMode=yes", "-o",
    "ConnectTimeout=30",
    "-o", "ControlMaster=no", "-o", "ControlPath=none", "-o", "StreamLocalBindMask=0177",
    "-o", "ServerAliveInterval=15", "-o", "PermitLocalCommand=no", "-o", "ForwardAgent=no", "-o",
    "ForwardX11=no" }
  if target.user then table.move({ "-l", target.user }, 1, 2, #argv + 1, argv) end
  if target.port then table.move({ "-p", target.port }, 1, 2, #argv + 1, argv) end
  return table.move({ "-L", ("%s:%s"):format(socket, target.socket), "--", target.host }, 1, 4,
    #argv + 1, argv)
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

-- The command to try by hand.
local function by_hand(target, more)
  return ("ssh %s%s%s%s"):format(more or "", target.port and ("-p %s "):format(target.port) or "",
    target.user and target.user .. "@" or "", target.host)
end

-- What ssh said, in short, with what to do; its last line alone does not tell a new key from a
-- changed one.
local function diagnose(target, words)
  local last = words:gsub("%s+$", ""):match("[^\n]*$")
  if words:find("IDENTIFICATION HAS CHANGED", 1, true) then
    local name = target.port and ("[%s]:%s"):format(target.host, target.port) or target.host
    return "net", "the host's key is not the one that known_hosts has",
      ("somebody may stand between; if its key was really changed: `ssh-keygen -R '%s'`, then `%s`")
      :format(name, by_hand(target))
  elseif words:find("Host key verification failed", 1, true) then
    return "net", "the host's key is not known here, and nothing is asked",
      ("connect once by hand, and compare the key "
      .. "it shows: `%s`"):format(by_hand(target))
  elseif words:find("Permission denied", 1, true) then
    return "auth", last,
      ("no key that ssh finds by itself is let in; a key with a passphrase needs an agent. Try `%s`")
      :format(by_hand(target, "-o BatchMode=yes "))
  end
  return "net", last ~= "" and last or "it ended without a word",
    ("first this must work: `%s true`")
    :format(by_hand(target, "-o BatchMode=yes "))
end

local function failure_of(target, forward)
  if forward.failure then
    local why = forward.failure
    return error_value.new { kind = why.kind, op = "docker",
      message = ("ssh to %s: %s"):format(target.host, why.message),
      hint = why.kind == "missing"
        and "install ssh's client, as openssh-client; orch has none of its own" or nil }
  end
  local kind, words, hint = diagnose(target, forward.words)
  return error_value.new { kind = kind, op = "docker", hint = hint,
    message = ("ssh to %s: %s"):format(target.host, words) }
end

-- As long as the job; at its end ssh has ended and the socket is gone.
local function keep(job, target, forward, argv, env)
  local good, problem = pcall(run, forward, argv, env)
  forward.over = true
  if good and forward.ready then
    job:log("the docker daemon is out of reach: %s", failure_of(target, forward).message)
  end
  branches.cleanup(function() fs.remove(forward.dir) end)
  if not good then error(problem, 0) end
end

--- Forwards the socket for as long as the job lives; returns the path of ours.
---@param job { host_tmp: string, background: function }
---@param target { user?: string, host: string, port?: string, socket: string }
---@return string path
local function open(job, target)
  local forward = { dir = make_dir(job), words = "" }
  local socket = forward.dir .. "/s"
  local running = job:background(function()
    keep(job, target, forward, command(target, socket), environment(job))
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
