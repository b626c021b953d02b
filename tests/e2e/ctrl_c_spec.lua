local fs = require "orch.fs"
local proc = require "orch.proc"
local support = require "e2e.support"
local task = require "orch.task"

local INT <const>, TERM <const> = 2, 15

describe("Ctrl-C", function()
  local scratch
  before_each(function() scratch = support.scratch() end)
  after_each(function() scratch:remove() end)

  local function spin(body, ...)
    local path = scratch:write("spin.lua", ([[
local orch = require "orch"
return orch.job { name = "j", run = function(job)
  job:log("spinning")
  %s
end }
]]):format(body))
    local child = scratch:start { "run", path }
    local text = ""
    while not text:find("spinning", 1, true) do text = text .. assert(child:read(), text) end
    for _, signal in ipairs { ... } do
      task.sleep(0.1)
      child:signal(signal)
    end
    for piece in child.read, child do text = text .. piece end
    assert.equal(130, assert(child:wait()).code, text)
    return text
  end

  it("ends a body that computes for ever", function()
    assert.matches("cancelled by Ctrl%-C.*spin%.lua:4", spin("while true do end", INT))
  end)

  it("ends a body that computes for ever in coroutines of its own", function()
    local nested <const> = "coroutine.wrap(function() %s end)()"
    local text = spin(nested:format(nested:format("while true do end")), INT)
    assert.matches("cancelled by Ctrl%-C.*spin%.lua:4", text)
    spin("pcall(coroutine.wrap(error)) while true do end", INT)
    spin(nested:format("pcall(coroutine.wrap(error)) while true do end"), INT)
  end)

  it("ends, the second time, a body that will not hear of it", function()
    spin("while true do pcall(function() while true do end end) end", INT, INT)
  end)

  it("ends at once what another signal was to end", function()
    spin("while true do pcall(function() while true do end end) end", TERM, INT)
  end)

  it("ends, the second time, a step that will not hear of it, and at once", function()
    local marker = "7" .. scratch.dir:gsub("%D", ""):sub(1, 6) .. "2"
    scratch:write("deaf.lua", ([[
local orch = require "orch"
return orch.job { name = "j", run = function(job)
  job:run "trap '' INT TERM HUP; (setsid sleep %s &) ; touch %s; sleep %s" end }
]]):format(marker, scratch:path("started"), marker))
    local environment = fs.environment()
    environment.ORCH_STATE, environment.ORCH = scratch:path("state"), support.orch
    -- The shell goes on, so that its own shim ends nothing.
    local shell =
      assert(proc.start { env = environment, cwd = scratch.dir, argv = { "/bin/sh", "-c",
      "$ORCH run deaf.lua > out & until [ -e started ] || ! kill -0 $!; do sleep 0.02; done\n"
      .. "kill -INT $!; sleep 0.2; kill -INT $!; wait $!; echo ended with $?; sleep 1000" } })
    assert.equal("ended with 130\n", shell:read())
    local left
    for _ = 1, 40 do
      left = assert(proc.run { argv = { "pgrep", "-fx", "sleep " .. marker } })
      if left.code == 1 then break end
      task.sleep(0.05)
    end
    assert.equal(1, left.code, left.stdout)
    shell:cancel()
    shell:wait()
  end)

  it("ends the tree of a step", function()
    local marker = "7" .. scratch.dir:gsub("%D", ""):sub(1, 6) .. "1"
    local path = scratch:write("long.lua", ([[
local orch = require "orch"
return orch.job { name = "j", run = function(job) job:run "echo started; (setsid sleep %s &) ; sleep %s" end }
]]):format(marker, marker))
    local child = scratch:start { "run", path }
    local text = ""
    while not text:find("\n   started", 1, true) do text = text .. assert(child:read()) end
    child:signal(2)
    for piece in child.read, child do text = text .. piece end
    local result = assert(child:wait())
    assert.equal(130, result.code, text)
    assert.is_truthy(text:find("orch: cancelled by Ctrl-C", 1, true), text)
    task.sleep(0.05)
    local left = assert(proc.run { argv = { "pgrep", "-fx", "sleep " .. marker } })
    assert.equal(1, left.code, left.stdout)
    assert.same({}, scratch:leftovers())
  end)

  it("ends a build", function()
    if not support.services() then pending "no services: run tests/run.sh" end
    local path = scratch:write("slow.lua", [[
local orch = require "orch"
return orch.job { name = "j", run = function(job)
  job:write { path = "Dockerfile", text = "FROM busybox:1.36\nRUN echo building; sleep 60; echo ]] .. scratch.dir .. [[\n" }
  job:docker_build { tags = { "spec-slow:1" } }
end }
]])
    local child = scratch:start { "run", path }
    local text = ""
    while not text:find("\n     building", 1, true) do text = text .. assert(child:read(), text) end
    child:signal(2)
    for piece in child.read, child do text = text .. piece end
    local result = assert(child:wait())
    assert.equal(130, result.code, text)
    assert.is_true(result.seconds < 30)
    assert.same({}, scratch:leftovers())
  end)
end)
