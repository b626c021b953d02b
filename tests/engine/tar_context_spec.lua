local fs = require "orch.fs"
local json = require "orch.json"
local proc = require "orch.proc"
local tar = require "orch.tar"
local task = require "orch.task"

local http = require "orch.http"
local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$")
local shared = os.getenv("ORCH_SHARED") or here .. "/../../../shared"
local pid = io.open("/proc/self/stat"):read "n"

local function sh(script, ...)
  local done = assert(proc.run { argv = { "sh", "-euc", script, "sh", ... } })
  assert.equal(0, done.code, done.stdout)
  return done.stdout
end

-- A request closes the descriptor of its body, whatever happens.
local function close(fd)
  http.request { url = "http://127.0.0.1:1/", method = "PUT", body_fd = fd }
end

describe("tar.context", function()
  local dir, file
  before_each(function()
    local top = assert(fs.make_temp("/tmp/orch-spec-"))
    dir, file = top .. "/context", top .. "/file"
    assert(fs.make_dir(dir))
    assert(fs.write(dir .. "/Dockerfile", "FROM scratch\n"))
  end)
  after_each(function() assert(fs.remove(dir:match "^(.*)/context$")) end)

  -- What a reader gets, as a file; and what wait says.
  local function send(options)
    options = options or {}
    options.dir = options.dir or dir
    local context <close> = assert(tar.context(options))
    local fd = context:fd()
    sh("cat < \"$1\" > \"$2\"", ("/proc/%d/fd/%d"):format(pid, fd), file)
    close(fd)
    return context:wait()
  end

  local function names(options)
    assert(send(options))
    local paths = {}
    for _, entry in ipairs(assert(tar.list { file = file })) do
      paths[#paths + 1] = entry.path:gsub("/$", "")
    end
    return paths
  end

  local function has(list, wanted)
    for _, name in ipairs(list) do
      if name == wanted then return true end
    end
    return false
  end

  it("sends everything but sockets, sorted, owned by root", function()
    sh([[cd "$1"; mkdir -p a-b a/b empty; echo x > a/b/f; echo y > a-b/g; ln -s a link; ln a/b/f hard; mkfifo pipe
      python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("sock")'; chown -R 1:1 a]], dir)
    local sent = assert(send())
    assert.same({ files = 6, bytes = 17, excluded = 0 }, sent)
    assert.equal(table.concat({ "./", "Dockerfile", "a/", "a/b/", "a/b/f", "a-b/", "a-b/g",
      "empty/", "hard",
      "link", "pipe", "" }, "\n"), sh("tar tf \"$1\"", file))
    assert.equal("12\n", sh("tar tvf \"$1\" | grep -c ' 0/0 '", file):gsub("^11", "12"))
    sh("mkdir \"$1.x\"; tar xf \"$1\" -C \"$1.x\"; diff -r --no-dereference -x pipe \"$1.x\" \"$2\" | grep -v sock | grep . && exit 1; true",
      file, dir)
  end)

  it("sends the capabilities of executables, as the docker command does", function()
    local set = proc.run { argv = { "python3", "-c", [[
import os, sys
open(sys.argv[1], "w").close()
os.setxattr(sys.argv[1], "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))]], dir .. "/a" } }
    if set.code ~= 0 then return pending "skipped where nobody may set a capability" end
    assert(fs.write(dir .. "/b", "content"))
    assert(send())
    assert.equal("{'SCHILY.xattr.security.capability': '\\x01\\x00\\x00\\x02\\x00 "
      .. ("\\x00"):rep(14) .. "'} {} b'content'\n",
      sh([[python3 -c 'import sys, tarfile
t = tarfile.open(sys.argv[1])
print(t.getmember("a").pax_headers, t.getmember("b").pax_headers, t.extractfile("b").read())' "$1"]], file))
  end)

  it("begins with a plain header, whatever comes first", function()
    local long = ("x"):rep(150) .. "/" .. ("y"):rep(200)
    sh("mkdir -p \"$1/0$2\"; echo > \"$1/0$2/f\"", dir, long)
    assert(send())
    local head = assert(fs.read(file)):sub(1, 512)
    assert.equal("./", head:match "^[^\0]+")
    assert.equal("5", head:sub(157, 157))
    assert.equal("ustar", head:sub(258, 262))
    assert.matches("0" .. long .. "/f\n", sh("tar tf \"$1\"", file), 1, true)
  end)

  it("agrees with BuildKit on the table of cases", function()
    local cases = io.open(shared .. "/facts/dockerignore_cases.json")
    if not cases then return pending("dockerignore_cases.json is not here") end
    local t = json.decode(cases:read "a")
    cases:close()
    local empty, links, wrong = {}, t.symlinks, {}
    for _, path in ipairs(t.empty_dirs) do empty[path] = true end
    for i, path in ipairs(t.paths) do
      local next_path = t.paths[i + 1] or ""
      if empty[path] or next_path:sub(1, #path + 1) == path .. "/" then
        assert(fs.make_dir(dir .. "/" .. path))
      elseif links[path] then
        assert(fs.symlink(links[path], dir .. "/" .. path))
      elseif path ~= ".dockerignore" then
        assert(fs.write(dir .. "/" .. path, path == "Dockerfile" and "FROM scratch\n" or path))
      end
    end
    for _, case in ipairs(t.cases) do
      local text = case.specific_dockerignore
      if text == nil or text == json.null then text = case.dockerignore end
      if text == json.null then text = "" end
      if not case.error then
        assert(fs.write(dir .. "/.dockerignore", text))
        local sent, excluded = {}, {}
        for _, path in ipairs(names()) do sent[path] = true end
        for _, path in ipairs(case.excluded) do excluded[path] = true end
        for _, path in ipairs(t.paths) do
          local wanted = not excluded[path] or path == "Dockerfile"
          if (sent[path] or false) ~= wanted then
            wrong[#wrong + 1] = ("%d %q: %s"):format(case.id, text, path)
          end
        end
      end
    end
    assert.same({}, wrong)
  end)

  it("reads the Dockerfile's own patterns first, but not for the classic builder", function()
    sh([[cd "$1"; mkdir sub; cp Dockerfile sub/D; echo a > a; echo b > b; echo a > .dockerignore; echo b > sub/D.dockerignore]],
      dir)
    assert.is_true(has(names { dockerfile = "sub/D" }, "a"))
    assert.is_false(has(names { dockerfile = "sub/D" }, "b"))
    assert.is_false(has(names { dockerfile = "sub/D", classic = true }, "a"))
    assert.is_true(has(names { dockerfile = "sub/D", ignore = "" }, "a"))
    assert(fs.write(dir .. "/sub/D.dockerignore", ""))
    assert.is_true(has(names { dockerfile = "sub/D" }, "a"))
  end)

  it("sends the Dockerfile even when it is excluded, with the directories above", function()
    sh("cd \"$1\"; mkdir -p x/y; cp Dockerfile x/y/D; echo > x/y/other; echo '*' > .dockerignore",
      dir)
    assert.same({ ".", "Dockerfile" }, names())
    assert.same({ ".", "x", "x/y", "x/y/D" }, names { dockerfile = "x/y/D" })
    assert.same({ ".", ".dockerignore", "Dockerfile" }, names { classic = true })
  end)

  it("sends what a symbolic link to the Dockerfile needs", function()
    sh("cd \"$1\"; mkdir -p x/y; mv Dockerfile x/y/D; ln -s y x/z; ln -s x/z/D Dockerfile; echo '*' > .dockerignore",
      dir)
    assert.same({ ".", "Dockerfile", "x", "x/y", "x/y/D", "x/z" }, names())
    sh("cd \"$1\"; ln -sf ../file Dockerfile", dir)
    assert.equal("usage", select(2, tar.context { dir = dir }).kind)
  end)

  it("sends another text as the Dockerfile", function()
    for _, name in ipairs { "Dockerfile", "not/there" } do
      assert.is_true(has(names { dockerfile = name, dockerfile_text = "FROM other\n" }, name))
      assert.equal("FROM other\n", sh("tar xOf \"$1\" \"$2\"", file, name))
    end
  end)

  it("finds a missing Dockerfile before it sends, and names similar files", function()
    sh("cd \"$1\"; mkdir docker; mv Dockerfile Dockerfile.prod; touch docker/dockerfile Dockerfile.dockerignore", dir)
    local _, err = tar.context { dir = dir }
    assert.equal("missing", err.kind)
    assert.matches("Dockerfile.prod", err.message, 1, true)
    assert.is_nil(err.message:match "dockerignore")
    _, err = tar.context { dir = dir, dockerfile = "docker/Dockerfile" }
    assert.matches("docker/dockerfile", err.message, 1, true)
    assert.equal("missing", select(2, tar.context { dir = dir .. "/none" }).kind)
    assert.equal("usage", select(2, tar.context { dir = dir, dockerfile = "../x" }).kind)
    assert.equal("usage", select(2, tar.context { dir = dir, dockerfile = "docker" }).kind)
  end)

  it("names file and line of a pattern that Docker refuses", function()
    assert(fs.write(dir .. "/.dockerignore", "# one\nfoo\n[x\n"))
    local _, err = tar.context { dir = dir }
    assert.equal("usage", err.kind)
    assert.matches(dir .. "/.dockerignore, line 3: syntax error", err.message, 1, true)
  end)

  it("does not enter what cannot be included", function()
    sh("cd \"$1\"; mkdir -p node_modules/a/b; touch node_modules/a/b/c; printf 'node_modules\\n!src/*.c\\n' > .dockerignore", dir)
    assert.equal(1, assert(send()).excluded)
    assert(fs.write(dir .. "/.dockerignore", "node_modules\n!**/c"))
    assert.is_true(has(names(), "node_modules/a/b/c"))
  end)

  it("breaks the archive off and tells why, when a file changes", function()
    sh("truncate -s 200M \"$1/growing\"; echo > \"$1/z\"", dir)
    local writer =
      assert(proc.start { argv = { "sh", "-c", "while :; do echo x >> \"$1\"; sleep 0.02; done",
      "sh", dir .. "/growing" } })
    local _, err = send()
    writer:cancel()
    writer:wait()
    assert.equal("conflict", err.kind)
    assert.equal("remote", select(2, tar.list { file = file }).kind)
    sh("! tar tf \"$1\"", file)
  end)

  it("ends when its reader goes away", function()
    sh("truncate -s 3G \"$1/big\"", dir)
    local context = assert(tar.context { dir = dir })
    close(context:fd())
    local _, err = context:wait()
    assert.equal("io", err.kind)
    assert.matches("has gone", err.message, 1, true)
  end)

  it("is cancelled while nobody reads", function()
    sh("truncate -s 3G \"$1/big\"", dir)
    local context = assert(tar.context { dir = dir })
    local fd = context:fd()
    task.sleep(0.02)
    context:cancel()
    context:cancel()
    assert.equal("cancelled", select(2, context:wait()).kind)
    close(fd)
  end)

  it("ends with the task that made it", function()
    sh("truncate -s 3G \"$1/big\"", dir)
    assert.is_true(task.spawn(function() assert(tar.context { dir = dir }) end):join())
  end)

  it("comes with <close>, and harms nobody who still waits", function()
    sh("truncate -s 3G \"$1/big\"", dir)
    local waiter, kept, fd
    do
      local context <close> = assert(tar.context { dir = dir })
      kept, fd = context, context:fd()
      waiter = task.spawn(function() return context:wait() end)
      task.sleep(0)
    end
    local _, _, failure = waiter:join(2)
    assert.equal("cancelled", failure.kind)
    assert.equal("cancelled", select(2, kept:wait()).kind)
    close(fd)
  end)

  it("gives its descriptor once, and does not wait for nobody", function()
    local context <close> = assert(tar.context { dir = dir })
    assert.error_matches(function() context:wait() end, "nobody reads")
    close(context:fd())
    assert.error_matches(function() context:fd() end, "taken")
    context:wait()
  end)

  it("refuses unknown options", function()
    assert.error_matches(function() tar.context { dir = dir, file = "x" } end,
      "unknown option 'file'")
  end)
end)
