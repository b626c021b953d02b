-- Docker daemons of a spec's own, each in namespaces of its own: to be killed, to be far away, to
-- have a full disk.
local assert = require "luassert"
local fs = require "orch.fs"
local proc = require "orch.proc"
local processes = require "e2e.processes"
local support = require "e2e.support"
local task = require "orch.task"

local READY_SECONDS <const> = 30

local Daemon = {}
Daemon.__index = Daemon

-- $1 directory, $2 size of a file system that only its mount namespace has, or "", $3 its address,
-- $4… dockerd's options. It is started again when the file `again` asks for it.
local SCRIPT <const> = [[
  dir=$1 size=$2 address=$3; shift 3
  PATH=$PATH:/usr/sbin:/sbin
  mount --make-rprivate /
  [ -z "$size" ] || mount -t tmpfs -o size=$size tmpfs $dir/data
  ip link set lo up
  echo $$ > $dir/pid.new; mv $dir/pid.new $dir/pid
  until ip link set far up 2> /dev/null; do sleep 0.02; done
  ip address add $address/30 dev far
  # What the daemon's health check finds silent, on a busy machine, writes its stacks there before it is killed.
  mkdir $dir/tmp; export TMPDIR=$dir/tmp
  while :; do
    rm -f $dir/run.pid $dir/sock
    dockerd --config-file $dir/daemon.json --data-root $dir/data --exec-root $dir/exec --pidfile $dir/run.pid \
      -H unix://$dir/sock "$@" >> $dir/log 2>&1
    until [ -e $dir/again ]; do sleep 0.05; done
    rm $dir/again
  done
]]

local CERTIFICATES <const> = [[
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=ca -days 2 -keyout ca.key -out ca.pem
  for name in server client; do
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$name -keyout $name-key.pem -out $name.csr
    printf 'subjectAltName=IP:%s\nextendedKeyUsage=serverAuth,clientAuth\n' $1 > ext
    openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out $name-cert.pem
  done
  cp client-cert.pem cert.pem; cp client-key.pem key.pem
]]

local function sh(script, ...)
  local result = assert(proc.run { argv = { "/bin/sh", "-ec", script, "sh", ... } })
  assert.equal(0, result.code, result.stdout)
  return result.stdout
end

--- Runs the docker command line on it; what it printed.
function Daemon:docker(...)
  local result =
    assert(proc.run { argv = { "docker", "-H", "unix://" .. self.dir .. "/sock", ... } })
  assert.equal(0, result.code, result.stdout)
  return result.stdout
end

local function answers(self)
  local reply = require "orch.http".request { url = "http://docker/_ping",
    unix = self.dir .. "/sock" }
  return reply ~= nil and reply.status == 200
end

local function wait_for_it(self)
  assert.is_true(processes.wait_until(function() return answers(self) end, READY_SECONDS),
    fs.read(self.dir .. "/log"))
end

local function options(self, spec)
  local list = { "--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", self.mark }
  if not spec.tls then return list end
  sh("cd $1; " .. CERTIFICATES:gsub("%$1", self.address), self.dir)
  return table.move({ "-H", "tcp://" .. self.address .. ":2376", "--tlsverify", "--tlscacert",
    self.dir .. "/ca.pem",
    "--tlscert", self.dir .. "/server-cert.pem", "--tlskey", self.dir .. "/server-key.pem" }, 1, 9,
      #list + 1, list)
end

--- spec: { size = "200m": its files are on a file system of that size, which nobody else sees; tls
--- = true: a port at address, 2376; config = daemon.json; images = names to make }
---@param spec table
local function start(spec)
  local dir = assert(fs.make_temp("/tmp/orch-d-"))
  local random = { string.unpack("BB", assert(fs.random(2))) }
  local net = ("10.%d.%d."):format(100 + random[1] % 100, random[2])
  local self =
    setmetatable({ dir = dir, mark = dir:match("[^/]+$"), address = net .. "2", near = net .. "1" },
    Daemon)
  assert(fs.make_dir(dir .. "/data"))
  assert(fs.write(dir .. "/daemon.json", spec.config or '{ "shutdown-timeout": 2 }'))
  self.child =
    assert(proc.start { argv = { "unshare", "--net", "--mount", "--", "/bin/sh", "-c", SCRIPT, "sh",
    dir,
    spec.size or "", self.address, table.unpack(options(self, spec)) } })
  assert.is_true(processes.wait_until(function() return fs.stat(dir .. "/pid") ~= nil end,
    READY_SECONDS))
  self.link = "near" .. self.mark:sub(-6)
  sh([[PATH=$PATH:/usr/sbin:/sbin; ip link add $1 type veth peer name far netns $3
    ip link set $1 up; ip address add $2/30 dev $1]], self.link, self.near, (fs.read(dir .. "/pid"):gsub("%s", "")))
  wait_for_it(self)
  for _, image in ipairs(spec.images or {}) do
    sh([[DOCKER_HOST=unix://$1/sock tests/services/base_image --with /bin/bash $2]], dir, image)
  end
  return self
end

--- The environment by which orch finds it.
function Daemon:env(more)
  local env = { DOCKER_HOST = "unix://" .. self.dir .. "/sock" }
  for name, value in pairs(more or {}) do env[name] = value end
  return env
end

function Daemon:tls_env(more)
  local env = self:env(more)
  env.DOCKER_HOST, env.DOCKER_TLS_VERIFY, env.DOCKER_CERT_PATH =
    ("tcp://%s:2376"):format(self.address), "1", self.dir
  return env
end

--- Ends dockerd with a signal; its containers are as that leaves them.
function Daemon:kill(signal)
  local pid = fs.read(self.dir .. "/run.pid"):match("%d+")
  assert(proc.run { argv = { "kill", "-" .. (signal or "KILL"), pid } })
  if signal == "STOP" or signal == "CONT" then return end
  assert.is_true(processes.wait_until(function() return fs.stat("/proc/" .. pid) == nil end,
    READY_SECONDS))
end

function Daemon:again()
  assert(fs.write(self.dir .. "/again", ""))
  wait_for_it(self)
end

--- A command in its namespaces.
function Daemon:inside(...)
  return sh('exec nsenter --net --mount --target "$@"',
    (fs.read(self.dir .. "/pid"):gsub("%s", "")), "--", ...)
end

--- Nothing of it is left afterwards.
function Daemon:stop()
  self.child:cancel()
  self.child:wait()
  proc.run { argv = { "ip", "link", "delete", self.link },
    env = { PATH = os.getenv("PATH") .. ":/usr/sbin:/sbin" } }
  for _ = 1, 100 do
    local groups = sh("find /sys/fs/cgroup -depth -type d -path '*/'$1'*' 2>/dev/null || true",
      self.mark)
    if groups == "" then break end
    for group in groups:gmatch("[^\n]+") do proc.run { argv = { "rmdir", group } } end
    task.sleep(0.05)
  end
  assert(fs.remove(self.dir))
end

return { start = start, root = support.root }
