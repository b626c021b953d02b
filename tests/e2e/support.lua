-- Runs the real program in a scratch directory, with real services named by the environment.
local assert = require "luassert"
local fs = require "orch.fs"
local proc = require "orch.proc"

local Scratch = {}
Scratch.__index = Scratch

local orch <const> = assert(fs.real_path("/proc/self/exe"))
local root <const> = assert(fs.cwd())

local function services() return os.getenv("ORCH_TEST_DIR") ~= nil end

--- A directory with a state and a temporary directory of its own; orch is run with env.
---@param env? table<string, string>
local function scratch(env)
  local dir = assert(fs.make_temp("/tmp/orch-e2e-"))
  assert(fs.make_dir(dir .. "/tmp"))
  return setmetatable({ dir = dir, env = env or {} }, Scratch)
end

function Scratch:path(name) return self.dir .. "/" .. name end

function Scratch:write(name, text)
  local path = self:path(name)
  assert(fs.make_dir(path:match("^(.*)/")))
  assert(fs.write(path, text))
  return path
end

--- A git repository of these files, one commit on main.
function Scratch:project(files)
  for name, text in pairs(files) do self:write("project/" .. name, text) end
  local dir = self:path("project")
  for _, args in ipairs {
    { "init", "--quiet", "--initial-branch=main" }, { "add", "--all" },
    { "-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "--message", "first" },
  } do
    local result = assert(proc.run { argv = { "git", "-C", dir, table.unpack(args) } })
    assert(result.code == 0, result.stdout)
  end
  return dir
end

local function environment_of(self, env)
  local environment = fs.environment()
  environment.ORCH_STATE = self:path("state")
  environment.TMPDIR = self:path("tmp")
  for _, layer in ipairs { self.env, env or {} } do
    for name, value in pairs(layer) do environment[name] = value or nil end
  end
  return environment
end

--- Runs `orch ARGS…`; { code, out, err, all }. env lays over the environment; false takes a name
--- away.
function Scratch:orch(args, env)
  local environment = environment_of(self, env)
  local result =
    assert(proc.run { argv = { orch, table.unpack(args) }, env = environment, split = true,
    timeout = 120 })
  return { code = result.code, out = result.stdout, err = result.stderr,
    all = result.stdout .. result.stderr }
end

--- As orch, started only: the child.
function Scratch:start(args, env)
  local environment = environment_of(self, env)
  return assert(proc.start { argv = { orch, table.unpack(args) }, env = environment })
end

--- The process of orch itself; nil when it has ended.
function Scratch.pid_of(_, child) return child:pid() end

--- A recipe of one job with this body; its path.
function Scratch:job(body, head)
  return self:write("recipe.lua", ([[
local orch = require "orch"
return orch.pipeline {
  orch.job { name = "job", %s run = function(job)
%s
  end },
}
]]):format(head or "", body))
end

--- The same, run.
function Scratch:recipe(body, args, env, head)
  return self:orch({ "run", self:job(body, head), table.unpack(args or {}) }, env)
end

--- What a run has left where it may leave nothing: temporary files, half-made blobs, and after a
--- success the job directories (a failed run keeps them for `orch resume`).
function Scratch:leftovers(succeeded)
  local left = fs.list(self:path("tmp"))
  for _, number in ipairs(succeeded and fs.list(self:path("state/runs")) or {}) do
    for _, name in ipairs(fs.list(self:path("state/runs/") .. number)) do
      if name ~= "logs" and name ~= "lock" and name ~= "recipe"
        and name ~= "artifacts" then
        left[#left + 1] = ("runs/%s/%s"):format(number, name)
      end
    end
  end
  for _, name in ipairs(fs.list(self:path("state/store/blobs")) or {}) do
    if name ~= "sha256" then left[#left + 1] = "blobs/" .. name end
  end
  return left
end

function Scratch:remove() assert(fs.remove(self.dir)) end

--- One error, with its exit code; what it must say; nothing left behind.
local function check(place, result, code, ...)
  assert.equal(code, result.code, result.all)
  for _, words in ipairs { ... } do
    assert.is_truthy(result.err:find(words, 1, true),
      ("%q is not in:\n%s"):format(words, result.all))
  end
  local _, errors = ("\n" .. result.err):gsub("\norch[ %l]*: ", "")
  assert.equal(1, errors, result.err)
  assert.is_nil(result.err:find("traceback", 1, true), result.err)
  assert.same({}, place:leftovers())
end

return { scratch = scratch, check = check, services = services, root = root, orch = orch }
