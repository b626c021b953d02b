local containers = require "e2e.containers"
local endpoints = require "e2e.endpoints"
local executor_suite = require "e2e.executor_suite"
local fs = require "orch.fs"
local http = require "orch.http"
local json = require "orch.json"
local proc = require "orch.proc"
local processes = require "e2e.processes"
local support = require "e2e.support"
local task = require "orch.task"
local terminal = require "e2e.terminal"

if not support.services() then
  describe("a shell in the container of a job", function()
    it("runs on a real daemon", function() pending("no services: run tests/run.sh") end)
  end)
  return
end

local docker = containers.docker

local SECRET <const> = "hunter2222"
local BODY <const> = [[
  job:run { "echo 'export OF_BASH_ENV=of-bash-env' >> $BASH_ENV; mkdir sub", name = "first" }
  job:setup_remote_docker()
  job:run { "test -e ../mended", name = "second", working_directory = "sub",
    environment = { OF_STEP = "of-the-step" }, secrets = { "TOKEN" } }
]]

describe("a shell in the container of a job", function()
  local suite
  before_each(function()
    suite = executor_suite.new 'orch.docker { image = "cimg/node:14.16.0" }'
    suite.scratch.env = { TOKEN = SECRET }
    local result = suite:recipe(BODY, nil, nil, 'secrets = { "TOKEN" },')
    assert.equal(1, result.code, result.all)
  end)
  after_each(function()
    suite:close()
    containers.remove_left()
  end)

  local function shell(...) return suite.scratch:orch { "shell", "1", "job", "--", ... } end
  local function see(actions)
    return terminal.see(suite.scratch, actions, { "shell" }, suite.scratch.env)
  end
  local function container()
    return (docker("ps", "-aq", "--filter", "label=orch.run"):gsub("%s", ""))
  end
  local function running() return docker("exec", container(), "ps", "-o", "args") end

  -- What the daemon tells of the programs that run in a container by an exec.
  local function execs(id)
    local socket = os.getenv("DOCKER_HOST"):match("^unix://(.*)$")
    local function ask(path)
      return assert(http.request { url = "http://docker" .. path, unix = socket }).body
    end
    local text = {}
    for _, each in ipairs(json.decode(ask(("/containers/%s/json"):format(id))).ExecIDs) do
      text[#text + 1] = ask(("/exec/%s/json"):format(each))
    end
    return table.concat(text)
  end

  it("has the step's environment, directory and user, and stands in a pipe", function()
    local result = shell("sh", "-c", [[id -un; pwd; echo "$OF_STEP $TOKEN $CI $DOCKER_HOST"
      test -S ${DOCKER_HOST#unix://} && bash -c 'echo $OF_BASH_ENV'; echo apart >&2; exit 9]])
    assert.equal(9, result.code, result.all)
    assert.equal("circleci\n/home/circleci/project/sub\nof-the-step " .. SECRET
      .. " true unix:///var/run/docker.sock\nof-bash-env\n", result.out)
    assert.equal("apart\n", result.err)
    local env = fs.environment()
    env.ORCH, env.ORCH_STATE, env.TOKEN = support.orch, suite.scratch:path("state"), SECRET
    result = assert(proc.run { env = env, split = true, timeout = 60, argv = { "sh", "-c",
      "head -c 3000000 /dev/zero | $ORCH shell 1 -- tee /dev/stderr 2> $ORCH_STATE/err | wc -c; "
      .. "wc -c < $ORCH_STATE/err; $ORCH shell 1 -- yes | head -n 1; $ORCH shell 1 -- no-such; echo $?" } })
    assert.equal("3000000\n3000000\ny\n126\n", result.stdout, result.stderr)
    assert.matches("no program 'no-such' in PATH", result.stderr, 1, true)
    assert.is_nil(running():find("yes", 1, true))
    assert.is_nil(docker("exec", container(), "ls", "/.orch"):find("enter", 1, true))
  end)

  it("knows the terminal's size from the beginning, and gets every key", function()
    local seen = terminal.see(suite.scratch, [[wait:ready type:\x10\x11\x03]], { "shell", "1", "job",
      "--", "sh", "-c", "stty size; stty raw -echo; echo ready; head -c 3 | od -An -tx1; exit 6" },
      suite.scratch.env)
    assert.equal(6, seen.code, seen.text)
    assert.matches("\n40 100\nready", seen.text, 1, true)
    assert.matches("10 11 03", seen.text, 1, true)
  end)

  it("is a terminal's, of its size, and leaves the files for resume", function()
    local seen = see([[wait:job] type:echo_$OF\x5fSTEP-$OF\x5fBASH\x5fENV;id_-un;stty_size\r ]]
      .. [[wait:40_100 snap:before size:70x20 type:until_test_"$(stty_size)"_=_"20_70";do_sleep_0.1;done;echo_"re"sized\r ]]
      .. [[wait:resized type:test_-O_$(tty)&&sh_-c_'echo_"o"wner;exec_sleep_1000'\r wait:owner type:\x03 ]]
      .. [[type:echo_"b"ack\r wait:back type:touch_../mended;exit_6\r]])
    assert.equal(6, seen.code, seen.text)
    assert.matches("of%-the%-step%-of%-bash%-env\ncircleci\n40 100",
      table.concat(seen.snaps.before, "\n"))
    assert.is_true(seen.echo)
    local good = suite.scratch:orch { "resume", "1" }
    assert.equal(0, good.code, good.all)
    assert.matches("first  (done before)", good.out, 1, true)
    assert.same({}, containers.left())
  end)

  it("shows the daemon no secret, and is ended when orch is", function()
    local child = suite.scratch:start { "shell", "1", "--", "sh", "-c", "echo ready; sleep 1000" }
    assert.equal("ready\n", child:read())
    local told = execs(container())
    assert.matches('"enter"', told, 1, true)
    assert.is_nil(told:find(SECRET, 1, true))
    assert.is_nil(docker("exec", container(), "ls", "/.orch"):find("enter", 1, true))
    assert(proc.kill(assert(suite.scratch:pid_of(child)), 15))
    assert.equal(143, assert(child:wait()).code)
    assert.is_nil(running():find("sleep", 1, true))
    -- Killed, it ends nothing; who comes next does.
    local seen = see("wait:job] type:sh_-c_'echo_\"o\"n;exec_sleep_1000'\\r wait:on kill:9")
    assert.equal(-9, seen.code)
    assert.equal(0, shell("true").code)
    assert.is_nil(running():find("sleep", 1, true))
  end)

  it("is a terminal's over ssh too, which is itself again when the connection is cut", function()
    local place <close> = endpoints.place()
    local _, env = place:sshd()
    suite.scratch.env.DOCKER_HOST = "ssh://box" .. os.getenv("DOCKER_HOST"):match("^unix://(.*)")
    suite.scratch.env.PATH = env.PATH
    local cut = task.spawn(function()
      assert(processes.wait_until(function()
        return running():find("sleep 1000", 1, true) ~= nil
      end, 60))
      place:sh([[pkill -f "[s]sh .*$PWD/ssh_config"]])
    end)
    local seen = see([[wait:job] type:stty_size;sleep_1000\r wait:40_100]])
    assert.is_true((cut:join()))
    assert.equal(4, seen.code, seen.text)
    assert.is_true(seen.echo)
    assert.matches("\norch: container %x+ is lost: ", seen.text)
    assert.matches("try: is the daemon running?", seen.text, 1, true)
    place:remove()
  end)

  it("starts a container that has stopped, and says what to do when it is gone", function()
    local child = suite.scratch:start { "shell", "1", "--", "sh", "-c", "echo ready; sleep 1000" }
    assert.equal("ready\n", child:read())
    docker("kill", container())
    assert.matches("^orch: container %x+ has ended %(exit code 137%)\n  try: it was stopped from outside",
      child:read() or "")
    assert.equal(4, assert(child:wait()).code)
    assert.equal("sub\n", shell("ls", "..").out)
    docker("rm", "-f", container())
    for name in docker("volume", "ls", "-q", "--filter", "label=orch.run"):gmatch "%S+" do
      docker("volume", "rm", name)
    end
    local gone = shell("true")
    assert.equal(5, gone.code, gone.all)
    assert.matches("job 'job' cannot be looked into: its container is gone", gone.err, 1, true)
    assert.matches("do it anew: orch resume 1", gone.err, 1, true)
    assert.same({}, containers.left())
  end)
end)
