-- What runs have left on the daemon of the tests.
local assert = require "luassert"
local proc = require "orch.proc"

local KINDS <const> = { { list = { "ps", "-aq" }, remove = { "rm", "-f" } },
  { list = { "volume", "ls", "-q" }, remove = { "volume", "rm" } },
  { list = { "network", "ls", "-q" }, remove = { "network", "rm" } } }

--- Runs the docker command line; what it printed.
local function docker(...)
  local result = assert(proc.run { argv = { "docker", ... } })
  assert.equal(0, result.code, result.stdout)
  return result.stdout
end

local function run(words, ...)
  local argv = table.move(words, 1, #words, 1, {})
  return docker(table.unpack(table.move({ ... }, 1, select("#", ...), #argv + 1, argv)))
end

--- Ids of containers, volumes and networks with a label of ours.
local function left()
  local ids = {}
  for _, kind in ipairs(KINDS) do
    for id in run(kind.list, "--filter", "label=orch.run"):gmatch("%S+") do ids[#ids + 1] = id end
  end
  return ids
end

local function remove_left()
  for _, kind in ipairs(KINDS) do
    for id in run(kind.list, "--filter", "label=orch.run"):gmatch("%S+") do run(kind.remove, id) end
  end
end

return { docker = docker, left = left, remove_left = remove_left }
