-- The host executor: steps run on this machine, in directories that the run owns.
--
-- An executor has open(job), which gives { dir, tmp, fs, proc, host_tmp }: paths as the steps see
-- them, and the functions through which verbs reach files and processes; host_tmp is a directory on
-- this machine. Verbs use nothing else, so that they work wherever the steps run. close(job,
-- failure), if there is one, is called when the job is over; a title makes opening a step.
local branches = require "orch.branches"
local fs = require "orch.fs"
local options = require "orch.options"
local proc = require "orch.proc"
local programs = require "orch.executor.programs"
local term = require "orch.term"

local Host = {}
Host.__index = Host

local schema = options.schema { working_directory = "string?" }

-- Files of the job, relative paths taken from its working directory: each function is made, by what
-- is here, when it is first asked for.
local files_at = {}

--- Where programs of this machine can read a file or directory of the job: it, or a copy of it.
function files_at.seen(at) return at end

--- Calls write(path), which makes a file of that path on this machine; then it is the job's.
function files_at.receive(at) return function(path, write) return write(at(path)) end end

for _, name in ipairs { "read", "write", "append", "stat", "list", "make_dir", "remove" } do
  local f = fs[name]
  files_at[name] = function(at) return function(path, ...) return f(at(path), ...) end end
end

-- Options of a module's function, with their directory taken from the job's.
local function placed(key, module, name)
  return function(at)
    return function(spec)
      spec[key] = at(spec[key])
      return require(module)[name](spec)
    end
  end
end

--- Files below a root into an archive on this machine: tar.pack's options.
files_at.pack = placed("root", "orch.tar", "pack")
--- An archive on this machine into a directory: tar.unpack's options.
files_at.unpack = placed("into", "orch.tar", "unpack")
--- A docker build context as a stream: tar.context's options.
files_at.context = placed("dir", "orch.tar", "context")
--- A repository's work tree: repo.checkout's options.
files_at.checkout = placed("into", "orch.repo", "checkout")

local Files = {}

function Files.__index(files, name)
  local make = files_at[name]
  if not make then return nil end
  local dir = files.dir
  files[name] = make(function(path) return fs.join(dir, path) end)
  return files[name]
end

local function files(dir) return setmetatable({ dir = dir }, Files) end

-- In place of an environment, what is laid over orch's own. The declared secrets reach a step only
-- when it is given them.
local function changed(job)
  local set = { HOME = os.getenv "HOME" }
  for _, declared in ipairs(job.secret_names) do set[declared:match("^[%w_]+")] = false end
  return set
end

local function laid(f)
  return function(spec)
    spec.set, spec.env = spec.env, nil
    return f(spec)
  end
end

-- A shell at the terminal shares orch's foreground; what stands in a pipe is ended with all that
-- it has started.
local function attach(spec)
  local terminal <close> = term.lend()
  spec.foreground, spec.inherit = terminal ~= nil, true
  local child <close>, failure = proc.start(spec)
  if not child then return nil, failure end
  local good, result, problem = pcall(child.wait, child)
  if good then return result, problem end
  child:cancel()
  branches.cleanup(function() child:wait() end) -- only then is the terminal its own again
  error(result, 0)
end

local function probe(host, port, seconds, words)
  local stream <close>, failure = require "orch.http".stream { host = host, port = port,
    connect_timeout = seconds }
  if not stream then return nil, failure end
  if not words then return "" end
  stream:write(words)
  return stream:read()
end

local function has(path) return fs.stat(path) ~= nil end

function Host:open(job)
  local base = ("%s/jobs/%s"):format(job.run_dir, job.place)
  local dir = fs.join(base .. "/work", self.options.working_directory or ".")
  local tmp = base .. "/tmp"
  assert(fs.make_dir(dir))
  assert(fs.make_dir(tmp, tonumber("700", 8)))
  return { dir = dir, tmp = tmp, host_tmp = tmp, fs = files(dir),
    proc = programs.new(job, { dir = dir, tmp = tmp, environment = changed(job) },
      { start = laid(proc.start), run = laid(proc.run), attach = laid(attach), has = has,
        probe = probe }) }
end

---@param given { working_directory?: string }
local function new(given)
  return setmetatable({ kind = "host", options = schema:check("orch.host", given) }, Host)
end

return { new = new }
