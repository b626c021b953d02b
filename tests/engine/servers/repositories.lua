-- Repositories for the specs, made by the real git, in a directory that box:remove deletes.
local assert = require "luassert"
local fs = require "orch.fs"
local proc = require "orch.proc"
local repo = require "orch.repo"
local task = require "orch.task"

local tests = debug.getinfo(1, "S").source:match("^@(.*)/engine/servers/[^/]*$")
local project = tests .. "/.."

local ENV = { PATH = os.getenv "PATH", HOME = "/nonexistent", GIT_CONFIG_NOSYSTEM = "1",
  GIT_AUTHOR_NAME = "Ada Example", GIT_AUTHOR_EMAIL = "ada@example.org",
  GIT_COMMITTER_NAME = "Ada Example", GIT_COMMITTER_EMAIL = "ada@example.org",
  GIT_ALLOW_PROTOCOL = "file:http", GIT_CONFIG_COUNT = "1", GIT_CONFIG_KEY_0 = "safe.directory",
  GIT_CONFIG_VALUE_0 = "*" }

local Box = {}
Box.__index = Box

local function run(argv, options)
  options = options or {}
  local result = assert(proc.run { argv = argv, input = options.input, cwd = options.cwd,
    env = options.env or ENV })
  if result.code ~= 0 then
    error(("%s: %d: %s"):format(table.concat(argv, " "), result.code, result.stdout), 2)
  end
  return (result.stdout:gsub("\n$", ""))
end

--- A path below the box that is not there yet.
function Box:fresh(name)
  self.count = self.count + 1
  return ("%s/%d-%s"):format(self.dir, self.count, name or "x")
end

--- git with these words; what it prints.
function Box:git(words, input)
  return run({ "git", table.unpack(words) }, { input = input })
end

function Box:sh(script, ...)
  return run { "sh", "-euc", script, "sh", ... }
end

--- A bare repository, below the server's root, whose commit's tree build(blob, tree) makes: blob is
--- given its text, tree its entries as { mode, name, id }. Names are taken that git would refuse.
function Box:crafted(name, build)
  local bare = ("%s/git/%s.git"):format(self.dir, name)
  self:git { "init", "-q", "-b", "main", "--bare", bare }
  local function git(words, input) return self:git({ "-C", bare, table.unpack(words) }, input) end
  local function blob(text) return git({ "hash-object", "-w", "--stdin" }, text) end
  local function tree(...)
    local bytes = {}
    for _, entry in ipairs { ... } do
      local id = entry[3]:gsub("%x%x", function(hex) return string.char(tonumber(hex, 16)) end)
      bytes[#bytes + 1] = ("%s %s\0"):format(entry[1], entry[2]) .. id
    end
    return git({ "hash-object", "-w", "-t", "tree", "--literally", "--stdin" }, table.concat(bytes))
  end
  git { "update-ref", "refs/heads/main", git { "commit-tree", "-m", name, build(blob, tree) } }
  return bare
end

--- Every path below dir but .git's: kind, mode, target, digest of the bytes.
function Box:tree(dir)
  return self:sh([[cd "$1"
    find . -path ./.git -prune -o ! -name .git -printf '%p %y %m %l\0' | sort -z | tr '\0\n' '\n?'
    find . -path ./.git -prune -o -type f -print0 | sort -z | xargs -0r sha256sum -z | tr '\0\n' '\n?']], dir)
end

local Server = {}
Server.__index = Server

function Server:stop()
  self.child:cancel()
  self.child:wait()
end

local function curl(words)
  return run { "curl", "-fsS", table.unpack(words) }
end

--- Queues a fault of endpoint.py; nil forgets them all.
function Server:fault(fault)
  if fault then
    curl { "-d", require "orch.json".encode(fault), self.url .. "/_control" }
  else
    curl { "-X", "DELETE", self.url .. "/_control" }
  end
end

--- Forgets what was received on both ports.
function Server:forget()
  for _, url in ipairs { self.url, self.other } do
    curl { "-X", "DELETE", url .. "/_control/requests" }
  end
end

--- Did a request to the second port, where redirects lead, have that header?
function Server:other_saw(header)
  local records = require "orch.json".decode(curl { self.other .. "/_control/requests" }).requests
  assert(#records > 0, "nothing was redirected")
  for _, record in ipairs(records) do
    for _, pair in ipairs(record.headers) do
      if pair[1]:lower() == header then return true end
    end
  end
  return false
end

--- git_http.py over box.dir/git.
function Box:serve()
  local child =
    assert(proc.start { argv = { "/usr/bin/python3", tests .. "/services/git_http.py", self.dir } })
  local self_ = setmetatable({ child = child }, Server)
  local function root(name)
    for _ = 1, 500 do
      local file <close> = io.open(self.dir .. "/run/" .. name)
      if file then return "http://127.0.0.1:" .. file:read "l" end
      task.sleep(0.02)
    end
    error "git_http.py did not start"
  end
  self_.url, self_.other = root "git.port", root "git_other.port"
  self_.password = "secret"
  return self_
end

--- What a checkout into that directory left half done, nil if nothing.
function Box:leftovers(into)
  local found =
    self:sh([[find "$(dirname "$1")" -maxdepth 3 -name '*.orch-checkout-*' -o -maxdepth 5 -name 'pack_git2_*']], into)
  return found ~= "" and found or nil
end

--- A checkout that must go well, into a fresh directory unless told; its result and the directory.
function Box:checkout(options)
  options.into = options.into or self:fresh()
  local result = assert(repo.checkout(options))
  assert.equal(result.sha, self:git { "-C", options.into, "rev-parse", "HEAD" })
  assert.equal("", self:git { "-C", options.into, "status", "--porcelain" })
  return result, options.into
end

--- It has the same files, modes, links and bytes as git makes.
function Box:like_git(into, url, ref)
  local twin = self:fresh "twin"
  self:git { "clone", "-q", "-b", ref or "main", url, twin }
  assert.same(self:tree(twin), self:tree(into))
  self:git { "-C", into, "fsck", "--full", "--strict" }
end

--- A checkout that must fail so, without the secret in its words, and leave nothing; its error.
function Box:fails(kind, pattern, options)
  options.into = options.into or self:fresh()
  local result, err = repo.checkout(options)
  assert.is_nil(result)
  assert.equal(kind, err.kind, err.message)
  assert.matches(pattern, err.message)
  assert.not_matches("secret", err.message)
  assert.is_nil(self:leftovers(options.into))
  return err
end

-- This program.
local SELF = ("orch=%d; "):format(assert(fs.read("/proc/self/stat")):match("^%d+"))
-- The helpers that this program started, and their workers.
local HELPERS = SELF .. [[below() { for pid in $(cat /proc/$1/task/*/children 2>/dev/null); do
    case "$(readlink /proc/$pid/exe || :)" in */orch-repo) echo $pid;; esac
    below $pid; done; }; below $orch]]

--- The running program's path.
function Box:program()
  return self:sh(SELF .. "readlink /proc/$orch/exe")
end

--- How many run.
function Box:helpers()
  local _, count = self:sh(HELPERS):gsub("%d+", "")
  return count
end

--- Kills them at once; how many there were.
function Box:kill_helpers()
  local killed = self:sh(HELPERS .. " | while read pid; do kill -9 $pid && echo $pid; done; :")
  return select(2, killed:gsub("%d+", ""))
end

function Box:remove()
  self:sh([[chmod -R u+w "$1"; rm -rf "$1"]], self.dir)
end

local function box()
  local self = setmetatable({ count = 0 }, Box)
  self.dir = self:sh "mktemp -d /tmp/orch-repo-spec-XXXXXX"
  self:sh([[mkdir "$1/git" "$1/run"; echo ada:secret > "$1/git_password"]], self.dir)
  self.app = self.dir .. "/git/app.git"
  run { tests .. "/services/make_repo", project .. "/examples/app", self.app }
  return self
end

return { box = box }
