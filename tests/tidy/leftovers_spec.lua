-- What a test leaves behind fails it, by name; what it puts away does not.
local lfs = require "lfs"

local fs = require "orch.fs"
local proc = require "orch.proc"

local SOME <const> = [==[
local http = require "orch.http"
local json = require "orch.json"
local kept
it("a descriptor", function() kept = io.open "/dev/null" end)
it("a file", function() assert(io.open("%s", "w")):close() end)
it("a working directory", function() require "lfs".chdir "/" end)
it("a task", function()
  local task = require "orch.task"
  task.spawn(function() task.sleep(1) end)
end)
it("a process", function()
  -- While it becomes another program it has no environment to be known by.
  os.execute [=[cd / && sleep 100 > /dev/null 2>&1 &
    until grep -qs "^sleep" /proc/$!/cmdline; do :; done]=]
end)
it("a volume", function()
  if not os.getenv "ORCH_TEST_DIR" then return end
  assert(http.request { method = "POST", url = "http://docker/volumes/create",
    unix = os.getenv "DOCKER_HOST":match "^unix://(.*)$",
    headers = { ["content-type"] = "application/json" },
    body = json.encode { Name = "left-over", Labels = { ["orch.run"] = "none" } } })
end)
it("nothing", function() end)
]==]

local function sh(script, ...)
  return assert(proc.run { argv = { "sh", "-euc", script, "sh", ... }, timeout = 60 }).stdout
end

describe("leftovers", function()
  local dir, said

  setup(function()
    dir = sh("mktemp -d /tmp/orch-leftovers-spec.XXXXXX"):match "[^\n]+"
    local spec = dir .. "/e2e_spec.lua"
    assert(fs.write(spec, SOME:format(dir .. "-file")))
    said = sh([[export ORCH_TEST_MARK=ORCH_TEST_MARK=$$ ORCH_TEST_PATIENCE=0.2
      unset ORCH_TEST_NOW
      "$1" lua tests/run.lua "$2" || :]], lfs.symlinkattributes("/proc/self/exe", "target"), spec)
  end)

  teardown(function()
    sh([[[ -z "${ORCH_TEST_DIR-}" ] || docker volume rm -f left-over > /dev/null
      rm -rf "$1" "$1-file"]], dir)
  end)

  local function finds(name, what)
    assert.matches(("FAILED: %s (.-)\nleft over: %s\n"):format(name, what), said)
  end

  it("finds what a test left, and says its name", function()
    finds("a descriptor", "descriptor %d+ /dev/null")
    finds("a working directory", "another working directory")
    finds("a task", "1 handles, 1 tasks")
    finds("a process", "process %d+ %(sleep%)")
    if os.getenv "ORCH_TEST_TMP" then
      finds("a file", "file " .. dir:match "[^/]+$":gsub("%p", "%%%0") .. "%-file")
    end
    if os.getenv "ORCH_TEST_DIR" then finds("a volume", "docker volume left%-over") end
  end)

  it("finds nothing else", function() assert.is_nil(said:match "FAILED: nothing.*") end)
end)
