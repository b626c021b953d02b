-- Builds of a context in a scratch directory, by docker_build of a real daemon.
local assert = require "luassert"
local engine = require "e2e.engine"
local fs = require "orch.fs"
local json = require "orch.json"
local proc = require "orch.proc"
local support = require "e2e.support"

local Site = {}
Site.__index = Site

--- An image of this site's.
function Site:tag(name)
  return ("spec-build-%s:%s"):format(self.scratch.dir:match("[^-]+$"):lower(), name or "1")
end

--- Runs a command in the context; what it prints.
function Site:shell(command)
  local result = assert(proc.run { argv = { "/bin/sh", "-ec", command }, cwd = self.context })
  assert(result.code == 0, result.stdout)
  return result.stdout
end

--- A file of the context.
function Site:put(name, text) self.scratch:write("context/" .. name, text) end

--- A build with these options; the result's `result` is what the verb gave.
function Site:build(options, env, head)
  local file = self.scratch:path("result.json")
  local result = self.scratch:recipe(([[
    local r = job:docker_build { context = %q, tags = { %q }, %s }
    job:write { path = %q, text = require "orch.json".encode(r) } ]]):format(self.context, self:tag(),
      options or "", file), {}, env, head)
  if result.code == 0 then result.result = json.decode(assert(fs.read(file))) end
  return result
end

--- The same; it must go well.
function Site:good(options, env, head)
  local result = self:build(options, env, head)
  assert.equal(0, result.code, result.all)
  return result
end

--- What the daemon itself answers.
function Site.docker(_, path, method) return engine.ask("/v1.41" .. path, method) end

--- In a scratch directory that the caller removes.
local function site()
  local scratch = support.scratch()
  local context = scratch:path("context")
  assert(fs.make_dir(context))
  return setmetatable({ scratch = scratch, context = context }, Site)
end

return { site = site }
