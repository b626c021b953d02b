local fs = require "orch.fs"
local orch = require "orch"
local proc = require "orch.proc"

local function sorted_words(text)
  local words = {}
  for word in text:gmatch("[%w_]+") do words[#words + 1] = word end
  table.sort(words)
  return words
end

describe("the stub of the verbs", function()
  it("is what `orch verbs --stub` writes", function()
    local environment = fs.environment()
    environment.ORCH_PATH = nil
    local result =
      assert(proc.run { argv = { assert(fs.real_path("/proc/self/exe")), "verbs", "--stub" },
      cwd = "lua",
      env = environment, split = true })
    assert.equal(0, result.code, result.stderr)
    assert.equal(assert(fs.read("lua/orch/meta/verbs.lua")), result.stdout)
  end)
end)

-- The options that the engine's own refusal of a wrong one lists, and those that the stub gives to
-- a class.
local function known(make)
  return sorted_words(tostring(select(2,
    pcall(make, { no_such_option = 1 }))):match("known: ([^)]*)"))
end

local function described(class)
  local stub = "\n" .. assert(fs.read("lua/orch/meta/orch.lua"))
  local fields, names = assert(stub:match("\n%-%-%-@class %(exact%) " .. class .. "\n(.-)\n[^-]")),
    {}
  for name in fields:gmatch("@field ([%w_]+)") do names[#names + 1] = name end
  return sorted_words(table.concat(names, ", "))
end

describe("the stub of what recipes are made of", function()
  for class,
    make in pairs { ["orch.JobDescription"] = orch.job,
    ["orch.PipelineDescription"] = orch.pipeline,
    ["orch.VerbDescription"] = orch.verb, ["orch.HostDescription"] = orch.host,
    ["orch.DockerDescription"] = orch.docker,
    ["orch.ServiceDescription"] =
      function(service) orch.docker { image = "x", services = { service } } end } do
    it("lists each option of " .. class .. ", and no other", function()
      assert.same(known(make), described(class))
    end)
  end
end)

-- What LuaLS says of a recipe with a mistake in each marked line; needs the program itself.
local MISTAKES <const> = [[
local orch = require "orch"
local http = require "orch.http"
http.request { url = "http://a", boddy = "y" } -- wrong
require "orch.fs".write("a", "b", { mod = 3 }) -- wrong
require "orch.fs".write("a", "b", { mode = 3 })
require "orch.proc".run { argv = { "a" }, tymeout = 3 } -- wrong
require "orch.proc".run { argv = "a" } -- wrong
require "orch.tar".pack { root = ".", paths = { "a" }, file = "x", compression = "gzipp" } -- wrong
require "orch.repo".checkout { url = "x", into = "y", branch = "z" } -- wrong
require "orch.hash".sigv4 { url = "x" } -- wrong
require "orch.repo".info { dri = "x" } -- wrong
require "orch.json".encode({}, { prety = true }) -- wrong
require "orch.json".encode({}, { pretty = true })
require "orch.json".decode("[]", { maxx = 1 }) -- wrong
require "orch.term".read_line { hiden = true } -- wrong
http.request { url = "http://a", basic = { usr = "x", password = "y" } } -- wrong
print(assert(require "orch.fs".stat("a")).sizee) -- wrong
print(assert(require "orch.proc".run { argv = { "a" }, cwd = "/" }).code)
return orch.pipeline {
  orch.job { name = "a",
    neds = { "b" }, -- wrong
    retry = { attempt = 3 }, -- wrong
    executor = orch.docker { image = "x",
      resources = { cpu = 1 }, -- wrong
      auth = { user = "x", password = "y" }, -- wrong
      services = { { image = "x", health = { port = 1 } } },
    },
    run = function(job)
      job:run { "make", working_directory = "src" }
      job:docker_build {
        tag = "x", -- wrong
        context = 3, -- wrong
      }
      job:artifact { kid = "x", name = "y" } -- wrong
      job:progress { label = "x", curent = 1 } -- wrong
      job:checkot() -- wrong
      print(job:http("http://a").stat) -- wrong
      print(job:http("http://a").status, job:checkout().sha, job:run { "ls", capture = true }.output:len())
      job:run { "make", secrets = { "T" } }
    end },
}
]]

describe("an editor with LuaLS", function()
  it("finds each wrong option of verbs and primitives, and nothing else", function()
    local found = proc.run { argv = { "lua-language-server", "--version" } }
    if not found then pending("skipped without lua-language-server") end
    local dir <const> = assert(fs.make_temp("/tmp/orch-luals-"))
    local _ <close> = setmetatable({}, { __close = function() assert(fs.remove(dir)) end })
    assert(fs.make_dir(dir .. "/p"))
    assert(fs.write(dir .. "/p/recipe.lua", MISTAKES))
    assert(fs.write(dir .. "/p/.luarc.json",
      ('{ "runtime.version": "Lua 5.4", "workspace.library": [%q] }')
      :format(fs.real_path("lua/orch/meta"))))
    local result =
      assert(proc.run { argv = { "lua-language-server", "--check=" .. dir .. "/p",
      "--checklevel=Warning",
      "--logpath=" .. dir .. "/log" }, timeout = 120 })
    local wrong, expected, number = {}, {}, 0
    for line in result.stdout:gmatch("recipe%.lua:(%d+):") do wrong[tonumber(line)] = true end
    for line in MISTAKES:gmatch("[^\n]*\n") do
      number = number + 1
      if line:find("-- wrong", 1, true) then expected[number] = true end
    end
    assert.same(expected, wrong)
  end)
end)
