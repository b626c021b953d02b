-- Names, values, messages and output that hold what a terminal would obey: nothing shows it, in no
-- form.
local fs = require "orch.fs"
local proc = require "orch.proc"
local support = require "e2e.support"

-- A title of the window, colours, C1 controls (as bytes and as UTF-8), a bell, a way back over the
-- line.
local EVIL <const> = "\27]0;title\7\27[31m\155x1m\u{9b}32m\127\8\rend"

local RECIPE <const> = [[
-- EVIL
local orch = require "orch"
local X = "EVIL"
local function try(f, ...) local good, failure = pcall(f, ...) if not good then print(failure, failure.hint) end end
return orch.pipeline {
  params = { p = { "string", default = X, doc = X }, q = { "string", default = "q", enum = { "q", X } } },
  orch.job { name = "a", environment = { V = X }, run = function(job)
    job:log("log %s", X) print("print", X) io.write(X, "\n") io.stderr:write(X, "\n")
    job:run { name = X, 'printf "%s\n" "$V"; echo "$V" >&2; touch "f$V"; ls' }
    job:group(X, function() job:log(X) end)
    job:write { path = "d" .. X, text = "x" }
    job:persist_to_workspace { paths = { "d*", "f*" } }
    try(function() job:read("no" .. X) end)
    try(function() job:export_vars { file = "d" .. X, set = { A = X } } end)
    try(function() job:checkout { url = "http://127.0.0.1:1/" .. X } end)
    try(function() job:checkout { url = job.dir, ref = X } end)
    try(function() job:docker_pull("127.0.0.1:1/" .. X) end)
    try(function() job:http("http://127.0.0.1:1/" .. X) end)
    try(function() job:evil(X) end)
    try(function() return job[X] end)
    orch.all { [X] = function() job:run { name = "branch", "true" } end }
  end },
  orch.job { name = "b", needs = { "a" }, run = function() orch.fail("failed %s", X) end },
  orch.job { name = "c", needs = { a = "terminal", b = "terminal" }, run = function() error(X) end },
  orch.job { name = "d", needs = { a = "terminal", b = "terminal" },
    run = function(job) job:run { name = "bad " .. X, "echo \"$X\"; false # " .. X, environment = { X = X } } end },
  orch.job { name = "e", needs = { a = "success" }, run = function(job) job:ask { question = X, id = "q", enum = { X, "n" } } end },
}
]]

local VERB <const> = [[
-- does EVIL
return require "orch".verb { positional = "o",
  options = { o = { "string", doc = "EVIL" }, e = { "string", default = "EVIL", enum = { "EVIL" } } },
  run = function(job, o) job:artifact { kind = o.o, name = o.o } job:progress { label = o.o, current = 1 } error(o.o) end }
]]

local COMMANDS <const> = { { "run", "-k" }, { "run", "--help" }, { "plan" }, { "plan", "--json" },
  { "check" }, { "check", "--json" },
  { "graph" }, { "run", "--format", "json" }, { "run", EVIL .. "=" .. EVIL },
  { "run", "p=" .. EVIL, "q=" .. EVIL .. "?" } }

local OTHERS <const> = { { "runs" }, { "runs", "--json" }, { "show", "1" },
  { "show", "1", "--json" }, { "logs", "1", "--json" },
  { "logs", "1", "a/" .. EVIL .. "?" }, { "resume", "1", "--why" }, { "answer", "1" },
  { "answer", "1", EVIL, "x" },
  { "verbs" }, { "verbs", "evil" }, { "verbs", "--stub" }, { "verbs", EVIL }, { EVIL },
  { "run", EVIL }, { "gc" },
  { "discard", EVIL }, { "version" } }

local PTY <const> = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"

-- Bytes of C1 that are no part of a character, and characters that are C1.
local function has_c1(text)
  return text:find("\u{9b}", 1, true)
    or text:gsub("[\xc3-\xf4][\x80-\xbf]+", ""):find("[\x80-\x9f]")
end

describe("a recipe with control characters in all its names", function()
  local scratch
  setup(function()
    scratch = support.scratch()
    local escaped = EVIL:gsub(".", function(char) return ("\\%03d"):format(char:byte()) end)
    scratch:write("recipe.lua", (RECIPE:gsub("EVIL", { EVIL = escaped })))
    scratch:write("verbs/evil.lua",
      (VERB:gsub("does EVIL", "does " .. EVIL:gsub("[\r%%]", "")):gsub("EVIL", escaped)))
    scratch:project { ["f" .. EVIL] = "x" }
  end)
  teardown(function() scratch:remove() end)

  -- Each command's arguments, and then those of the commands without a recipe.
  local function each(f)
    for _, args in ipairs(COMMANDS) do f { args[1], "recipe.lua", table.unpack(args, 2) } end
    for _, args in ipairs(OTHERS) do f(args) end
  end

  local function shown(args, ...)
    local environment = fs.environment()
    environment.ORCH_STATE, environment.TERM, environment.LC_ALL = scratch:path("state"),
      "xterm-256color", "C.UTF-8"
    local argv = table.pack(...)
    table.move(args, 1, #args, #argv + 1, argv)
    return assert(proc.run { argv = argv, env = environment, cwd = scratch.dir,
      input = "n\n", timeout = 60 }).stdout
  end

  it("writes none of them where it prints", function()
    each(function(args)
      local text = shown(args, support.orch)
      assert.is_nil(text:find("[^\n\t\x20-\x7e\x80-\xff]"), ("%s: %q"):format(args[1], text))
      assert.falsy(has_c1(text), ("%s: %q"):format(args[1], text))
      assert.is_true(utf8.len(text) ~= nil, ("%s: %q"):format(args[1], text))
      -- a carriage return hides nothing of an error's line
      assert.is_nil(("\n" .. text):find("\norch: end", 1, true), ("%s: %q"):format(args[1], text))
    end)
  end)

  it("lets a terminal obey none of them", function()
    table.insert(OTHERS, { "logs", "1" })
    each(function(args)
      local text = shown(args, "python3", "-c", PTY, support.orch)
      for _, wrong in ipairs { "\27]", "\7", "\8", "\127" } do
        assert.is_nil(text:find(wrong, 1, true), ("%s: %q in %q"):format(args[1], wrong, text))
      end
      assert.falsy(has_c1(text), ("%s: %q"):format(args[1], text))
    end)
  end)
end)
