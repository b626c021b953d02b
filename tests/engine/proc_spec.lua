local error_value = require "orch.error"
local fs = require "orch.fs"
local proc = require "orch.proc"
local secret = require "orch.secret"
local task = require "orch.task"

local PATH <const> = os.getenv("PATH")

-- What a shell script does, with more options.
local function sh(script, options)
  options = options or {}
  options.argv = { "/bin/sh", "-c", script }
  return proc.run(options)
end

local function output_of(script, options) return assert(sh(script, options)).stdout end

local function kind_of(script, options)
  local result, failure = sh(script, options)
  assert.is_nil(result)
  return failure.kind, failure
end

local function refused(message, f, ...)
  local good, failure = pcall(f, ...)
  assert.is_false(good)
  assert.matches(message, tostring(failure), 1, true)
end

local dir
local function with_dir()
  before_each(function() dir = assert(fs.make_temp("/tmp/orch-spec-")) end)
  after_each(function() assert(fs.remove(dir)) end)
end

local function program(name, text, mode)
  assert(fs.write(dir .. "/" .. name, text, { mode = mode or tonumber("755", 8) }))
  return dir .. "/" .. name
end

describe("proc.run", function()
  with_dir()

  it("gives the exit code and both outputs in the order written", function()
    local result = assert(sh "echo one; echo two >&2; echo three; exit 7")
    assert.equal("one\ntwo\nthree\n", result.stdout)
    assert.equal(7, result.code)
    assert.is_nil(result.signal)
    assert.is_nil(result.stderr)
    for _ = 1, 5 do
      assert.equal(("oe"):rep(50), output_of "for i in $(seq 50); do printf o; printf e >&2; done")
    end
  end)

  it("tells every exit code", function()
    for _, code in ipairs { 0, 1, 2, 126, 127, 128, 255 } do
      assert.equal(code, assert(sh("exit " .. code)).code)
    end
  end)

  it("tells the signal that ended a program", function()
    for _, signal in ipairs { 1, 9, 11, 15 } do
      local result = assert(sh(("kill -%d $$"):format(signal)))
      assert.same({ -1, signal }, { result.code, result.signal })
    end
  end)

  it("keeps the outputs apart when asked to", function()
    local result = assert(sh("echo out; echo err >&2", { split = true }))
    assert.same({ "out\n", "err\n" }, { result.stdout, result.stderr })
    assert.equal("", assert(sh("exit 0", { split = true })).stderr)
  end)

  it("keeps bytes as they are", function()
    assert.equal("a\0b\xff\r\n", output_of [[printf 'a\0b\377\r\n']])
  end)

  it("passes arguments as they are", function()
    local argv = { "/usr/bin/printf", "[%s]", "a b", "$HOME", "*", "", "é\n", 7, 1.5 }
    assert.equal("[a b][$HOME][*][][é\n][7][1.5]", assert(proc.run { argv = argv }).stdout)
  end)

  it("refuses arguments that a program would see cut short", function()
    refused("element 2 of 'argv' holds a zero byte", proc.run, { argv = { "/bin/echo", "a\0b" } })
    refused("option 'cwd' is empty or holds a zero byte", proc.run,
      { argv = { "/bin/echo" }, cwd = "/\0" })
  end)

  it("refuses a time that cannot be waited for", function()
    for _, time in ipairs { math.huge, -1, 0 / 0 } do
      refused("option 'timeout' must be a number, zero to 1e12", proc.run,
        { argv = { "/bin/true" }, timeout = time })
    end
    assert.equal(0, assert(proc.run { argv = { "/bin/true" }, timeout = 1e12 }).code)
  end)

  it("measures time and memory", function()
    local result = assert(sh "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done")
    assert.is_true(result.seconds > 0 and result.seconds < 30)
    assert.is_true(result.user > 0 and result.user <= result.seconds + 0.5)
    assert.is_true(result.system >= 0 and result.system <= result.seconds + 0.5)
    assert.is_true(result.max_rss > 100 << 10 and result.max_rss < 100 << 20)
    assert.is_true(assert(sh "sleep 0.03").seconds >= 0.029)
  end)

  it("stops at the ceiling of output", function()
    local kind, failure = kind_of("yes", { output_max = 1000 })
    assert.equal("limit", kind)
    assert.matches("more than 1000 bytes", failure.message)
    assert.equal(1000, #output_of("head -c 1000 /dev/zero", { output_max = 1000 }))
    assert.equal("limit", (kind_of("head -c 1001 /dev/zero", { output_max = 1000 })))
    assert.equal("limit", (kind_of("printf 123 >&2", { output_max = 2, split = true })))
  end)

  it("stops a program that takes too long", function()
    local started = task.clock()
    local kind, failure = kind_of("sleep 1000", { timeout = 0.03 })
    assert.equal("timeout", kind)
    assert.matches("took too long", failure.message)
    assert.is_true(task.clock() - started < 2)
    assert.equal(0, assert(sh("exit 0", { timeout = 10 })).code)
  end)

  it("refuses options it does not know, and wrong types", function()
    refused("proc.run: unknown option 'shell' (known: argv, ", proc.run,
      { argv = { "x" }, shell = true })
    refused("proc.start: unknown option 'args'", proc.start, { args = {} })
    refused("option 'argv' is missing", proc.run, {})
    refused("option 'argv' is empty", proc.run, { argv = {} })
    refused("element 2 of 'argv' must be a string, got table", proc.run, { argv = { "x", {} } })
    refused("option 'timeout' must be a number, zero to 1e12", proc.run,
      { argv = { "x" }, timeout = -1 })
    refused("option 'output_max' must be a whole number", proc.run,
      { argv = { "x" }, output_max = 1.5 })
    refused("expected a table of options, got string", proc.run, "true")
  end)
end)

describe("the environment of a program", function()
  with_dir()

  it("is ours by default and exactly the given one otherwise", function()
    assert.equal(PATH, output_of [[printf %s "$PATH"]])
    local result = assert(proc.run { argv = { "/usr/bin/env" }, env = { B = "2", A = "x=y z" } })
    local lines = {}
    for line in result.stdout:gmatch("[^\n]+") do lines[#lines + 1] = line end
    table.sort(lines)
    assert.same({ "A=x=y z", "B=2" }, lines)
    assert.equal("", assert(proc.run { argv = { "/usr/bin/env" }, env = {} }).stdout)
  end)

  it("is ours with what is set or taken out", function()
    local path = secret.new("/somewhere", "P")
    local result = assert(proc.run { argv = { "/usr/bin/env" },
      set = { PATH = path, HOME = false, PAT = 1, ["PATH_"] = "x", ABSENT = false } })
    local seen = {}
    for line in result.stdout:gmatch("[^\n]+") do
      local name, value = line:match("^([^=]*)=(.*)")
      assert.is_nil(seen[name or line], line)
      seen[name or line] = value
    end
    local expected = fs.environment()
    expected.PATH, expected.HOME, expected.PAT, expected.PATH_ = "/somewhere", nil, "1", "x"
    assert.same(expected, seen)
  end)

  it("opens secrets there and in arguments and input", function()
    local password = secret.new("hunter2-and-more", "PASSWORD")
    assert.equal("hunter2-and-more",
      assert(sh([[printf %s "$P"]], { env = { P = password } })).stdout)
    assert.equal("a=hunter2-and-more",
      assert(proc.run { argv = { "/usr/bin/printf", "%s", "a=" .. password } }).stdout)
    assert.equal("hunter2-and-more", output_of("cat", { input = password }))
  end)

  it("has numbers as text", function()
    assert.equal("7 1.5", assert(sh([[printf '%s %s' $A $B]], { env = { A = 7, B = 1.5 } })).stdout)
  end)

  it("refuses names and values that none can hold", function()
    for _, bad in ipairs { { ["A=B"] = "x" }, { [""] = "x" }, { ["A\0"] = "x" }, { A = "x\0y" } } do
      refused("option 'env': a name or value that no environment can hold", sh, "true",
        { env = bad })
    end
    refused("option 'env' must map names to strings", sh, "true", { env = { "x" } })
    refused("string expected", sh, "true", { env = { A = {} } })
    refused("string expected", sh, "true", { env = { A = true } })
    refused("string expected", sh, "true", { env = { A = false } })
    refused("string expected", sh, "true", { set = { A = true } })
    refused("option 'set': a name or value that no environment can hold", sh, "true",
      { set = { ["A=B"] = false } })
    refused("'env' is the whole environment; give it or 'set'", sh, "true",
      { env = {}, set = {} })
  end)

  it("has the PATH in which the program is looked up", function()
    program("tool", "#!/bin/sh\necho mine")
    assert.equal("mine\n",
      assert(proc.run { argv = { "tool" }, env = { PATH = "/nowhere:" .. dir } }).stdout)
    assert.equal("mine\n",
      assert(proc.run { argv = { "tool" }, env = { PATH = ":" }, cwd = dir }).stdout)
    local _, failure = proc.run { argv = { "tool" }, env = { PATH = "/nowhere" } }
    assert.same({ "missing", "no program 'tool' in PATH (/nowhere)" },
      { failure.kind, failure.message })
    assert.equal("x\n", assert(proc.run { argv = { "echo", "x" }, env = {} }).stdout)
  end)

  it("finds no directory and no plain file in PATH", function()
    assert(fs.make_dir(dir .. "/first/tool"))
    program("tool", "x", tonumber("644", 8))
    local _, failure = proc.run { argv = { "tool" },
      env = { PATH = dir .. ":" .. dir .. "/first" } }
    assert.equal("missing", failure.kind)
  end)
end)

describe("a program that cannot be run", function()
  with_dir()

  local function failure_of(path, options)
    options = options or {}
    options.argv = { path }
    local result, failure = proc.run(options)
    assert.is_nil(result)
    assert.is_true(error_value.is(failure))
    return failure
  end

  it("is missing", function()
    local failure = failure_of "/no/such/program"
    assert.equal("missing", failure.kind)
    assert.matches("/no/such/program", failure.message, 1, true)
    assert.equal("missing", failure_of("no-such-program").kind)
    assert.equal("missing", failure_of("").kind)
  end)

  it("names an interpreter that is missing", function()
    local path = program("script", "#!/no/such/interpreter\n")
    for _, failure in ipairs { failure_of(path), failure_of("./script", { cwd = dir }) } do
      assert.equal("missing", failure.kind)
      assert.matches("script: the interpreter that its first line names is not there",
        failure.message, 1, true)
    end
  end)

  it("is no executable", function()
    local failure = failure_of(program("plain", "echo x", tonumber("644", 8)))
    assert.equal("io", failure.kind)
    assert.matches("plain", failure.message, 1, true)
    assert.matches("denied", failure.message)
    assert.equal("io", failure_of(dir).kind)
    assert.matches("format", failure_of(program("garbage", "\1\2\3")).message)
  end)

  it("has no working directory", function()
    local failure = failure_of("/bin/true", { cwd = dir .. "/absent" })
    assert.equal("missing", failure.kind)
    assert.matches(dir .. "/absent", failure.message, 1, true)
    program("file", "")
    assert.matches("directory " .. dir .. "/file",
      failure_of("/bin/true", { cwd = dir .. "/file" }).message, 1, true)
    assert.equal(fs.real_path(dir) .. "\n", assert(proc.run { argv = { "pwd" }, cwd = dir }).stdout)
  end)
end)

describe("the input of a program", function()
  it("is empty by default and ends", function()
    assert.equal("", output_of "cat")
    assert.equal("", output_of("cat", { input = "" }))
    assert.equal("a\0b", output_of("cat", { input = "a\0b" }))
  end)

  it("may be large", function()
    local text = ("0123456789abcdef"):rep(1 << 16)
    assert.equal(text, output_of("cat", { input = text }))
  end)

  it("may go unread", function()
    local text = ("x"):rep(1 << 20)
    assert.equal("done", output_of("printf done", { input = text }))
    assert.equal("x", output_of("head -c 1; exec <&-; sleep 0.02", { input = text }))
  end)
end)
