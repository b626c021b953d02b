local proc = require "orch.proc"
local support = require "e2e.support"

-- What jobs hand on, as CircleCI's persist_to_workspace and attach_workspace do.
describe("a workspace", function()
  local scratch
  before_each(function() scratch = support.scratch() end)
  after_each(function() scratch:remove() end)

  local HEAD <const> = [[
local orch = require "orch"
local function giver(name, needs, files, paths)
  return orch.job { name = name, needs = needs, run = function(job)
    for path, text in pairs(files) do job:write { path = path, text = text } end
    job:persist_to_workspace { paths = paths or { "*" } }
  end }
end
local function taker(name, needs, command)
  return orch.job { name = name, needs = needs, run = function(job)
    job:attach_workspace { at = "ws" }
    job:run(command or "cd ws; for f in $(find . -type f | sort); do echo $f=$(cat $f); done")
  end }
end
]]

  local function run(text, ...)
    return scratch:orch { "run", scratch:write("recipe.lua", HEAD .. text), ... }
  end

  local function printed(job) return scratch:orch({ "logs", "1", job }).out end

  it("has what all jobs upstream gave, the later over the earlier, and nothing of others",
    function()
    local result = run([[return orch.pipeline {
      giver("a", {}, { f = "a", [".dot"] = "dot", ["d/x"] = "1" }), giver("other", {}, { g = "no" }),
      giver("b", { "a" }, { f = "b", ["d/y"] = "2" }), taker("c", { "b" }) }]])
    assert.equal(0, result.code, result.all)
    assert.matches("./.dot=dot\n./d/x=1\n./d/y=2\n./f=b\n", printed("c"), 1, true)
  end)

  it("keeps that order when a job is done again on resume", function()
    scratch:write("one", "one")
    local text =
      ([[return orch.pipeline { giver("a", {}, { f = "a" }), giver("b", { "a" }, { f = "b" }),
      taker("c", { "b" }, "cat ws/f; echo; test -e GO") }]]):gsub("GO", scratch:path("go"))
    assert.equal(1, run(text).code)
    scratch:write("go", "")
    local result = scratch:orch { "resume", "--from", "a/write#1" }
    assert.equal(0, result.code, result.all)
    assert.matches("\nb\n", printed("c"))
  end)

  it("refuses what two jobs side by side gave under one name, and says which", function()
    local result =
      run [[return orch.pipeline { giver("a", {}, { f = "same" }), giver("b", {}, { f = "same" }),
      giver("c", { "a" }, { g = "c" }), taker("d", { "b", "c" }) }]]
    assert.equal(6, result.code, result.all)
    assert.matches("warning: job '[ab]', which runs side by side, has persisted f too: a job that needs both", result.out)
    assert.matches("jobs 'b' and 'a' run side by side and both persisted f", result.err, 1, true)
    assert.matches('at: step "attach_workspace", job d, .*recipe.lua:%d+', result.err)
    -- one after the other they may
    local good =
      run([[return orch.pipeline { giver("a", {}, { f = "1" }), giver("b", { "a" }, { f = "2" }),
      taker("d", { "a", "b" }) }]])
    assert.equal(0, good.code, good.all)
    assert.is_nil(good.out:find("warning", 1, true), good.out)
  end)

  it("has the files of the jobs that are named, side by side where their names clash", function()
    local recipe = [[
    local t = orch.job { name = "t", matrix = { v = { "1", "2" } }, run = function(job)
      job:write { path = "t" .. job.matrix.v, text = job.matrix.v }
      job:persist_to_workspace { paths = { "t*" } }
    end }
    return orch.pipeline { giver("a", {}, { f = "a" }), giver("b", {}, { f = "b" }), t,
      orch.job { name = "c", needs = { "a", "b", "t" }, run = function(job)
        local given = job:attach_workspace { at = "A", from = { "a" } }
        job:attach_workspace { at = "B", from = { "b", "t" } }
        job:run "for f in $(find A B -type f | sort); do echo $f=$(cat $f); done"
        FROM
      end } }]]
    local result = run((recipe:gsub("FROM", "assert(given.layers == 1)")))
    assert.equal(0, result.code, result.all)
    assert.matches("A/f=a\nB/f=b\nB/t1=1\nB/t2=2\n", printed("c"), 1, true)
    result = run((recipe:gsub("FROM", "job:attach_workspace { from = { 'aa' } }")))
    assert.equal(2, result.code, result.all)
    assert.matches("from: 'aa' is no job that 'c' needs; did you mean 'a'?", result.err, 1, true)
    result = run((recipe:gsub("FROM", "job:attach_workspace()")))
    assert.matches("attach each somewhere else: { at = …, from = { … } }", result.err, 1, true)
  end)

  it("takes names and patterns of its root only, and says what is there when there is no such thing", function()
    local function persist(path)
      return run(([[return giver("j", {}, { file = "1", ["d/x"] = "2", ["d/.y"] = "3" }, { %q })]]):format(path))
    end
    for _, path in ipairs { ".", "*", "d", "d/*", "f?le", "[a-f]*", "d/.y" } do
      local result = persist(path)
      assert.equal(0, result.code, path .. result.all)
    end
    for _, path in ipairs { "flie", "$HOME/x", "**/*/x" } do
      local result = persist(path)
      assert.equal(5, result.code, result.all)
      assert.matches(("did not match any files in .*/work %%(there: d, file%%): %s"):format(path:gsub("%p", "%%%0")),
        result.err)
    end
    assert.matches("the '$' is taken as it stands", persist("$HOME/x").err, 1, true)
    for _, path in ipairs { "../x", "/etc/passwd" } do assert.equal(2, persist(path).code) end
  end)

  it("keeps modes, times and links", function()
    local result = run([[return orch.pipeline {
      orch.job { name = "a", run = function(job)
        job:run "echo x > f; chmod 750 f; ln -s f link; ln f hard; mkdir -m 700 empty; touch -d @1000000000 f"
        job:persist_to_workspace { paths = { "." } } end },
      taker("b", { "a" }, "cd ws; stat -c '%n %a %h %Y' f hard empty; readlink link") }]])
    assert.equal(0, result.code, result.all)
    assert.matches("f 750 2 1000000000\nhard 750 2 1000000000\nempty 700 2 %d+\nf\n", printed("b"))
  end)

  it("that is lost, damaged or another's is made again by its job", function()
    local text = ([[return orch.pipeline { giver("a", {}, { f = "a" }),
      orch.job { name = "b", needs = { "a" }, run = function(job)
        job:run "test -e GO" job:attach_workspace "." job:run "cat f" end } }]]):gsub("GO", scratch:path("go"))
    local blobs = scratch:path("state/store/blobs/sha256")
    for _, harm in ipairs { "rm %s", "tar -C / -czf %s etc/passwd",
      "printf garbage | dd of=%s bs=1 seek=20 conv=notrunc 2> /dev/null" } do
      assert.equal(1, run(text).code)
      scratch:write("go", "")
      local script = "for f in %s/*; do gzip -t < $f 2> /dev/null && " .. harm:format("$f")
        .. "; done; true"
      assert(proc.run { argv = { "sh", "-c", script:format(blobs) } })
      local result = scratch:orch { "resume" }
      local from =
        result.err:match("job 'a' persisted it; do that again: orch (resume %d+ %-%-from a)\n")
      assert.is_string(from, result.all)
      local words = {}
      for word in from:gmatch("%S+") do words[#words + 1] = word end
      result = scratch:orch(words)
      assert.equal(0, result.code, result.all)
      assert(os.remove(scratch:path("go")))
    end
  end)

  it("is never half there: not when the disk is full, and goes on when there is room", function()
    local path = scratch:write("recipe.lua", HEAD .. [[return orch.pipeline {
      orch.job { name = "a", run = function(job)
        job:run "head -c 1500000 /dev/urandom > big"
        job:persist_to_workspace { paths = { "big" } } end },
      taker("b", { "a" }, "wc -c < ws/big") }]])
    local script =
      ([[set -u; mkdir -p $ORCH_STATE; mount -t tmpfs -o size=2500k x $ORCH_STATE || exit 77
      $ORCH run %s; echo "code $?"; ls -A $ORCH_STATE/store/blobs $ORCH_STATE/store/blobs/sha256
      mount -o remount,size=20m $ORCH_STATE; $ORCH resume; echo "code $?"]]):format(path)
    local result = assert(proc.run { argv = { "unshare", "-m", "sh", "-c", script },
      env = { PATH = os.getenv("PATH"), ORCH = support.orch, ORCH_STATE = scratch:path("state"),
        TMPDIR = scratch:path("tmp"), ASAN_OPTIONS = os.getenv("ASAN_OPTIONS"),
        LSAN_OPTIONS = os.getenv("LSAN_OPTIONS") } })
    if result.code == 77 then return pending("no mounts here") end
    assert.matches("No space left on device.*try: make room there.*code 9\n", result.stdout)
    assert.matches("blobs:\nsha256\n\n[^\n]*blobs/sha256:\n.*1500000.*code 0\n$", result.stdout)
  end)
end)
