-- The daemon reached in every way: a socket of any version, TCP with TLS, contexts, podman.
local client = require "orch.docker.client"
local endpoints = require "e2e.endpoints"
local engine = require "e2e.engine"
local engine_of = require "orch.executor.docker.engine"
local fs = require "orch.fs"
local hash = require "orch.hash"
local json = require "orch.json"
local proc = require "orch.proc"
local support = require "e2e.support"
local task = require "orch.task"

local says <const> = endpoints.says
local SETUP <const>, LOAD <const> = endpoints.SETUP, endpoints.LOAD

describe("the docker daemon", function()
  local place, scratch
  before_each(function()
    place = endpoints.place()
    scratch = place.scratch
  end)
  after_each(function() place:remove() end)

  -- A test that starts servers itself must have ended them when it is looked over, also when it has
  -- failed.
  local function case(name, f)
    it(name, function()
      local _ <close> = place
      f()
    end)
  end

  local function fake(api, oldest)
    local path = scratch:path("fake" .. #place.children .. ".sock")
    local _, child = place:server("fake", path, api, oldest)
    return { DOCKER_HOST = "unix://" .. path }, child
  end

  case("is spoken to in the newest version that both know", function()
    for api,
      agreed in pairs { ["1.41"] = "1.41", ["1.47"] = "1.47", ["1.55"] = "1.55",
      ["1.56"] = "1.55" } do
      says(place:run(SETUP, (fake(api))), 0, "api " .. agreed)
    end
    says(place:run(SETUP, (fake("1.60", "1.55"))), 0, "api 1.55")
  end)

  case("is refused clearly when no version is common", function()
    says(place:run(SETUP, (fake("1.40"))), 4, "speaks API 1.40; 1.41 (Docker 20.10) or newer is needed")
    says(place:run(SETUP, (fake("1.70", "1.56"))), 4, "speaks API 1.56 to 1.70", "1.41 to 1.55",
      "a newer orch is needed")
    says(place:run(SETUP, (fake(""))), 4, "does not say which API it speaks")
  end)

  case("is spoken to in the version that DOCKER_API_VERSION pins", function()
    local env = fake("1.47")
    env.DOCKER_API_VERSION = "1.43"
    says(place:run(SETUP, env), 0, "api 1.43")
    env.DOCKER_API_VERSION = "1.50"
    says(place:run(SETUP, env), 2, "speaks API 1.47 at most; DOCKER_API_VERSION asks for 1.50")
    for _, version in ipairs { "1.30", "9.9", "x" } do
      env.DOCKER_API_VERSION = version
      says(place:run(SETUP, env), 2,
        ("DOCKER_API_VERSION is '%s'; this orch speaks 1.41 to 1.55"):format(version))
    end
  end)

  case("is asked once a job, by all branches", function()
    local env, child = fake("1.41")
    says(place:run([[
      orch.all { a = function() job:setup_remote_docker() end, b = function() job:setup_remote_docker() end,
        c = function() job:setup_remote_docker() end }
      pcall(job.docker_push, job, { "x/y", all_tags = true })]], env), 0)
    local asked = ""
    while not asked:find("json", 1, true) do asked = asked .. assert(child:read()) end
    assert.matches("^\n?/_ping\n/v1.41/images/json", asked)
  end)

  case("is the rootless one where the other does not answer", function()
    local path = scratch:path("run/docker.sock")
    assert(fs.make_dir(scratch:path("run")))
    place:server("fake", path, "1.47")
    if fs.stat("/var/run/docker.sock") then pending "a daemon of this machine comes first" end
    says(place:run(SETUP, { XDG_RUNTIME_DIR = scratch:path("run") }), 0, "host unix://" .. path)
  end)

  case("is not spoken to in the clear", function()
    says(place:run(SETUP, { DOCKER_HOST = "tcp://10.255.255.1:2375" }), 2, "without TLS",
      "try: set DOCKER_TLS_VERIFY=1")
    says(place:run(SETUP, { DOCKER_CONTEXT = "nowhere" }), 5, "there is no docker context 'nowhere'")
  end)

  if not support.services() then
    it("is real", function() pending("no services: run tests/run.sh") end)
    return
  end

  local socket = os.getenv("DOCKER_HOST"):match("^unix://(.*)")
  case("is reached over tcp on loopback", function()
    local port = place:server("plain", socket)
    says(place:run(LOAD, { DOCKER_HOST = "tcp://127.0.0.1:" .. port }), 0, "loaded busybox:1.36")
  end)

  describe("over TLS", function()
    local port
    before_each(function()
      place:sh [[mkdir mine theirs
        make() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout "$1.key" \
          -out "$1.pem" -subj "/CN=$2" -addext "subjectAltName=$3" $4 2>/dev/null; }
        make ca ca DNS:ca; make server 127.0.0.1 IP:127.0.0.1 "-CA ca.pem -CAkey ca.key"
        make me me DNS:me "-CA ca.pem -CAkey ca.key"; make other other DNS:other
        cp ca.pem mine/ca.pem; cp me.pem mine/cert.pem; cp me.key mine/key.pem
        cp other.pem theirs/ca.pem; cp me.pem theirs/cert.pem; cp me.key theirs/key.pem]]
      port = place:server("tls", socket, scratch:path("server.pem"), scratch:path("server.key"),
        scratch:path("ca.pem"))
    end)

    local function env(dir)
      return { DOCKER_HOST = "tcp://127.0.0.1:" .. port, DOCKER_TLS_VERIFY = "0",
        DOCKER_CERT_PATH = scratch:path(dir) }
    end

    case("is reached with a certificate of ours, and so are the steps' programs", function()
      says(place:run(LOAD .. "\njob:run 'env | sort | grep ^DOCKER_'", env "mine"), 0,
        "loaded busybox:1.36", engine.version().Version,
        "DOCKER_CERT_PATH=" .. scratch:path("mine"), "DOCKER_TLS_VERIFY=1")
    end)

    case("is not believed under another authority, and does not believe us without a certificate",
      function()
      says(place:run(SETUP, env "theirs"), 4, "docker at tcp://127.0.0.1:" .. port, "theirs")
      assert(fs.remove(scratch:path("mine/cert.pem")))
      assert(fs.remove(scratch:path("mine/key.pem")))
      says(place:run(SETUP, env "mine"), 4, "docker at tcp://127.0.0.1:" .. port)
    end)

    case("is a context with its certificates", function()
      local id = hash.sha256("far")
      scratch:write(("config/contexts/meta/%s/meta.json"):format(id), json.encode { Name = "far",
        Endpoints = { docker = { Host = "tcp://127.0.0.1:" .. port, SkipTLSVerify = false } } })
      assert(fs.make_dir(scratch:path("config/contexts/tls/" .. id)))
      place:sh('cp -r mine "config/contexts/tls/$1/docker"', id)
      says(place:run(LOAD, { DOCKER_CONTEXT = "far" }), 0, "loaded busybox:1.36", engine.version().Version)
      scratch:write("config/config.json", '{"currentContext": "far"}')
      says(place:run(LOAD, {}), 0, "loaded busybox:1.36")
    end)
  end)

  case("may be podman, the classic dialect", function()
    if assert(proc.run { argv = { "/bin/sh", "-c", "command -v podman" } }).code ~= 0 then
      pending "no podman"
    end
    local path = scratch:path("podman.sock")
    local quiet = fs.environment()
    quiet.DOCKER_HOST = nil
    place:start({ "podman", "--root", scratch:path("pod/root"), "--runroot", scratch:path("pod/run"),
      "--storage-driver", "vfs",
      "--cgroup-manager", "cgroupfs", "--events-backend", "file", "system", "service", "-t", "0",
      "unix://" .. path }, quiet)
    for _ = 1, 200 do
      if fs.stat(path) then break end
      task.sleep(0.05)
    end
    local registry = os.getenv("ORCH_TEST_REGISTRY")
    local result = scratch:recipe(([[
      local name = %q
      job:docker_login { registry = %q, username = "AWS", password = job.secrets.ORCH_TEST_REGISTRY_PASSWORD }
      job:write { path = "Dockerfile", text = "FROM scratch\nCOPY f /f\n" }
      job:write { path = "f", text = name }
      job:docker_build { tags = { name .. ":1" } }
      local pushed = job:docker_push { name .. ":1" }
      job:log("same %%s", tostring(job:image_exists { name .. ":1", remote = true } == pushed[1].digest))
      job:image_save { images = name .. ":1", file = "x.tar" }
      job:image_remove(name .. ":1")
      job:log("here %%s", tostring(job:image_exists(name .. ":1")))
      job:log("loaded %%s", job:image_load("x.tar")[1])]]):format(registry .. "/pod/" .. scratch.dir:match("[^-]+$"):lower(),
      registry), {}, { DOCKER_HOST = "unix://" .. path },
        "secrets = { 'ORCH_TEST_REGISTRY_PASSWORD' },")
    says(result, 0, "same true", "here false", "loaded " .. registry .. "/pod/")
    result =
      scratch:recipe(("job:docker_login { registry = %q, username = 'AWS', password = job.secrets.WRONG }")
      :format(registry), {}, { DOCKER_HOST = "unix://" .. path, WRONG = "wrong-wrong-wrong" },
        "secrets = { 'WRONG' },")
    says(result, 3, "401")
    says(place:run([[
      job:write { path = "Dockerfile", text = "FROM scratch\n# why\nCOPY near /x\n" }
      job:write { path = "nearer", text = "x" }
      job:docker_build() ]], { DOCKER_HOST = "unix://" .. path }), 1, "Dockerfile:3: COPY near /x: ",
      "no 'near' in the context .; did you mean 'nearer'?")

    -- it lists what has one of the labels
    local function run(id)
      return engine_of.new(client.connect { env = { DOCKER_HOST = "unix://" .. path } },
        { project = "p", run = id, number = 1, job = "job", place = "job" })
    end
    local one, two = run "11111111", run "22222222"
    one:make_volume(one:name "work")
    two:make_volume(two:name "work")
    assert.is_nil(one:remove_labelled(one:labels_of_job()))
    assert.is_nil(one:volume(one:name "work"))
    assert.is_table(two:volume(two:name "work"))
  end)
end)
