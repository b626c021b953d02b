-- What a build is made from: a directory of the job, or what a git repository, an archive or a
-- container holds, which becomes a directory on this machine for as long as the build takes.
--
-- So each kind works with every daemon, the engine's own checks hold for what strangers made, and
-- all is root's.
local amount = require "orch.amount"
local error_value = require "orch.error"
local fnv = require "orch.fnv"
local fs = require "orch.fs"
local options = require "orch.options"
local secret = require "orch.secret"

local COPY_SECONDS <const> = 600 -- without a byte, while the daemon reads a container's files

local Context = {}
Context.__index = Context

local function fail(kind, hint, format, ...)
  error(error_value.new { kind = kind, op = "docker build", hint = hint, message = "docker_build: "
    .. format:format(...) }, 0)
end

-- --- what is asked for ---------------------------------------------------------------------------

local forms = {
  git = options.schema { git = "string", ref = "string?", dir = { "string", default = "." },
    user = "string?",
    password = "string?" },
  tar = options.schema { tar = "string", dir = { "string", default = "." } },
  container = options.schema { container = "string", path = "string" },
}

-- URL#REF:DIR as docker has it; nil for what is no URL of a repository.
local function git_form(text)
  local url, fragment = text:match("^([^#]*)#?(.*)$")
  local web = url:find("^https?://")
  if not web and not url:find("^ssh://") and not url:find("^git://")
    and not url:find("^[%w_.-]+@[%w.-]+:") then
    return nil
  end
  if web and not url:find("%.git/?$") then
    fail("usage",
      "a repository all the same: context = { git = URL }; an archive: fetch it with job:http, give its file",
      "context '%s' is a URL that does not end in .git", url)
  end
  local ref, dir = fragment:match("^([^:]*):?(.*)$")
  return { git = url, ref = ref ~= "" and ref or nil, dir = dir ~= "" and dir or "." }
end

-- Is it there, and no directory, nor a link to one?
local function is_file(job, path)
  local stat = job.fs.stat(path)
  if not stat or stat.type == "directory" then return false end
  return stat.type ~= "link" or not job.fs.list(path)
end

-- The table form of what was given; a plain string is told apart by what it looks like and what is
-- there.
local function form_of(job, given)
  if secret.is(given) then
    fail("usage", "context = { git = URL, user = …, password = job.secrets.NAME }",
      "a context cannot be a secret")
  end
  if type(given) == "string" then
    local git = git_form(given)
    if git then return "git", git end
    if is_file(job, given) then return "tar", { tar = given, dir = "." } end
    return "dir", { dir = given }
  end
  for kind, schema in pairs(forms) do
    if given[kind] ~= nil then return kind, schema:check("docker_build: context", given) end
  end
  fail("usage", nil,
    "option 'context' must be a directory, a tar file, a git URL, { git = URL }, { tar = FILE } or "
    .. "{ container = NAME, path = PATH }")
end

-- --- a directory on this machine -----------------------------------------------------------------

local function without_login(url)
  return secret.is(url) and "***" or (url:gsub("^(%a+://)[^/@]*@", "%1"))
end

local function from_git(self, form)
  local ref, sha = form.ref, nil
  if ref and #ref == 40 and not ref:find("%X") then ref, sha = nil, ref end
  if ref and ref:find("^pull/%d+/") then ref = "refs/" .. ref end
  self.label = without_login(form.git)
  local times = ("%s/context-%s"):format(self.job.times_dir, fnv.hash(self.label))
  local result =
    assert(require "orch.repo".checkout { url = form.git, ref = ref, sha = sha, into = self.root,
    user = form.user, password = form.password, submodules = true, times = times })
  assert(fs.remove(self.root .. "/.git"))
  self.source = { url = self.label, commit = result.sha }
  self.job:log("context: %s at %s %s", self.label, result.sha:sub(1, 7), result.subject)
end

local function from_tar(self, form)
  self.label = form.tar
  local unpacked, failure = require "orch.tar".unpack { file = self.job.fs.seen(form.tar),
    into = self.root }
  if not unpacked then
    failure.message = ("docker_build: the context '%s': %s"):format(form.tar, failure.message)
    error(failure, 0)
  end
  self.job:log("context: %s, %s", form.tar, amount.entries(unpacked.entries))
end

local function from_container(self, form, connected)
  if not form.container:find("^%w[%w_.-]*$") then
    fail("usage", nil, "'%s' is no container's name", form.container)
  end
  if form.path:sub(1, 1) ~= "/" then
    fail("usage", nil, "the path in container %s must begin with '/', got '%s'", form.container,
      form.path)
  end
  self.label = ("%s:%s"):format(form.container, form.path)
  local archive = self.root .. ".tar"
  assert(connected:request { op = "docker cp " .. self.label, file = archive,
    idle_timeout = COPY_SECONDS,
    path = ("/containers/%s/archive"):format(form.container),
    query = { path = form.path .. "/." } })
  local unpacked = assert(require "orch.tar".unpack { file = archive, into = self.root })
  assert(fs.remove(archive))
  self.job:log("context: %s, %s", self.label, amount.entries(unpacked.entries))
end

local makers <const> = { git = from_git, tar = from_tar, container = from_container }

-- Where a path in the copy really is: links in it are strangers'.
local function inside(self, path)
  path = path:gsub("^/+", "")
  local real, failure = fs.real_path(fs.join(self.root, path))
  local climbs = ("/" .. path .. "/"):find("/../", 1, true)
  if climbs or real and real ~= self.root and real:sub(1, #self.root + 1) ~= self.root .. "/" then
    fail("failed", nil, "'%s' leads out of the context %s", path, self.label)
  end
  return real, failure
end

-- The functions of job.fs that a build reads its context with; for paths in the copy.
local function reading(self)
  local function of(f)
    return function(path, ...)
      local real, failure = inside(self, path:sub(#self.root + 1))
      if not real then return nil, failure end
      return f(real, ...)
    end
  end
  return { seen = function(path) return path end, read = of(fs.read), stat = of(fs.stat),
    list = of(fs.list),
    context = function(spec) return require "orch.tar".context(spec) end }
end

local function fetch(self, kind, form, connected)
  self.work = assert(fs.make_temp(self.job.host_tmp .. "/context-"))
  self.root = assert(fs.real_path(self.work)) .. "/root"
  assert(fs.make_dir(self.root))
  makers[kind](self, form, connected)
  self.copied, self.files = true, reading(self)
  local dir = form.dir or "."
  local stat = self.files.stat(self.root .. "/" .. dir)
  if not stat or stat.type ~= "directory" then
    fail("missing", "there is: " .. table.concat(fs.list(self.root), ", "),
      "no directory '%s' in %s", dir, self.label)
  end
  self.dir = inside(self, dir)
  self.key = ("%s\0%s"):format(self.label, dir)
end

function Context:__close()
  if self.work then fs.remove(self.work) end
end

--- Finds it, or brings it here.
---@param job orch.Job
---@param given string|table the verb's option
---@param connected table client
---@return table context to close: dir, files to read it with, key that names it, copied, source = { url, commit }
local function open(job, given, connected)
  local kind, form = form_of(job, given)
  local self = setmetatable({ job = job }, Context)
  if kind == "dir" then
    self.dir, self.files, self.key = form.dir, job.fs, form.dir
    return self
  end
  local good, problem = pcall(fetch, self, kind, form, connected)
  if not good then
    self:__close()
    error(problem, 0)
  end
  return self
end

return { open = open }
