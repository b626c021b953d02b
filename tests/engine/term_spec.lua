local fs = require "orch.fs"
local proc = require "orch.proc"
local support = require "e2e.support"
local term = require "orch.term"

describe("term.printable", function()
  local function check(expected, text, colours)
    assert.equal(expected, term.printable(text, colours))
  end

  it("leaves plain text, tabs and UTF-8 as they are", function()
    for _, text in ipairs { "", "make: *** [all] Error 1", "a\tb", "naïve 日本語 👍", "e\u{301}" } do
      check(text, text)
    end
  end)

  it("shows control characters", function()
    check("a\\x07b\\x0d\\x00\\x7f", "a\7b\r\0\127")
    check("\\x1b]0;title\\x07", "\27]0;title\7")
    check("\\x1bc", "\27c")
    check("\\x9b2J", "\u{9b}2J")
  end)

  it("shows what is no UTF-8, and what turns text around", function()
    check("\\xff\\xc3(\\xe2\\x82", "\xff\xc3(\xe2\x82")
    check("a\\u{202e}b\\u{2066}c\\u{2028}", "a\u{202e}b\u{2066}c\u{2028}")
  end)

  it("shows what turns text around, or stands for something unseen", function()
    local shown = "a\\u{200e}\\u{200f}\\u{61c}b\\u{200b}\\u{2060}\\u{feff}\\u{ad}\\u{3164}\\u{e0041}c"
    check(shown, "a\u{200e}\u{200f}\u{61c}b\u{200b}\u{2060}\u{feff}\u{ad}\u{3164}\u{e0041}c")
    check("\\u{206f}\\u{fffb}\\u{180e}\\u{1d173}\\u{2029}", "\u{206f}\u{fffb}\u{180e}\u{1d173}\u{2029}")
  end)

  it("leaves what scripts and emoji are joined and chosen by", function()
    for _, text in ipairs { "\u{646}\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
      "\u{915}\u{94d}\u{200d}\u{937}", "👩\u{200d}💻", "❤\u{fe0f}", "\u{845b}\u{e0100}", "שלום, عالم" } do
      check(text, text)
    end
  end)

  it("takes control sequences out", function()
    check("red, gone", "\27[31mred\27[0m, \27[2J\27[10A\27[?25l\27[1;1Hgone")
    check("\\x1b[12", "\27[12")
  end)

  it("keeps colours when told to, and ends them", function()
    check("\27[1;31mred\27[0m", "\27[1;31mred", true)
    check("\27[38;5;8mgrey\27[0m", "\27[38;5;8mgrey\27[2J", true)
    check("\27[38;2;8;5;6mx\27[0m", "\27[38;2;8;5;6mx", true)
    check("plain", "plain", true)
  end)

  it("lets no text be hidden or blink", function()
    check("hidden", "\27[8mhidden", true)
    check("hidden", "\27[31;8mhidden", true)
    check("hidden", "\27[38;5;1;8mhidden", true)
    check("blink", "\27[5mblink", true)
    check("odd", "\27[4:3modd", true)
  end)

  it("has a ceiling", function()
    assert.has_error(function() term.printable(("\27"):rep(5 << 20)) end)
    assert.has_error(function() term.printable(nil) end)
  end)
end)

describe("term.fit", function()
  local function check(expected, width, text, columns)
    local fitted, used = term.fit(text, columns)
    assert.equal(expected, fitted)
    assert.equal(width, used)
  end

  it("leaves what fits", function()
    check("abc", 3, "abc", 3)
    check("", 0, "", 5)
    check("日本", 4, "日本", 4)
  end)

  it("marks what it cuts", function()
    check("ab…", 3, "abcd", 3)
    check("…", 1, "abcd", 1)
    check("", 0, "abcd", 0)
    check("", 0, "abcd", -1)
  end)

  it("cuts no wide character in two", function()
    check("日…", 3, "日本語", 4)
    check("日…", 3, "日本語", 3)
    check("…", 1, "日本語", 2)
  end)

  it("counts no column for what joins", function()
    check("e\u{301}a", 2, "e\u{301}a", 2)
    check("e\u{301}…", 2, "e\u{301}abc", 2)
  end)

  it("counts no column for colours, and keeps their end", function()
    check("\27[31mab…\27[0m", 3, "\27[31mabcd\27[0m", 3)
  end)

  it("makes tabs spaces", function() check("a       b", 9, "a\tb", 20) end)
end)

describe("term", function()
  it("tells a terminal from what is none", function()
    assert.is_nil(term.size(9999))
    assert.is_false(term.is_tty(9999))
  end)

  it("refuses unknown options", function()
    assert.has_error(function() term.read_line { hiden = true } end)
    assert.has_error(function() term.parting(1, ("x"):rep(5000)) end)
  end)
end)

-- In a terminal of its own: what the program prints there, with these lines typed.
local function in_terminal(code, typed)
  local path = os.tmpname()
  assert(fs.write(path, code))
  local result =
    assert(proc.run { argv = { "/usr/bin/python3", support.root .. "/tests/e2e/screen.py", "80x24",
    typed,
    "--", support.orch, "lua", path }, timeout = 30 })
  os.remove(path)
  return require "orch.json".decode(result.stdout)
end

describe("term.read_line", function()
  it("gives a line that is typed", function()
    local seen = in_terminal([[local term = require "orch.term"
      print(term.is_tty(0), term.size(1))
      print("ask>")
      print("got " .. term.read_line())]], "wait:ask> type:hello\\r")
    assert.same({ "true\t80\t24", "ask>", "hello", "got hello" },
      { seen.screen[1]:gsub("%s+", "\t"), seen.screen[2],
      seen.screen[3], seen.screen[4] })
  end)

  it("shows nothing of a hidden one, and the next is shown again", function()
    local seen = in_terminal([[local term = require "orch.term"
      local task = require "orch.task"
      local reader = task.spawn(term.read_line, { hidden = true })
      task.sleep(0.02) -- what is typed before it reads is shown
      print("one>")
      local _, one = reader:join()
      print("two>")
      print(#one .. term.read_line())]], "wait:one> type:secret\\r wait:two> type:open\\r")
    assert.same({ "one>", "two>", "open", "6open" }, table.move(seen.screen, 1, 4, 1, {}))
  end)

  it("is cancelled, and gives the terminal back", function()
    local seen = in_terminal([[local term, task = require "orch.term", require "orch.task"
      local reader = task.spawn(term.read_line, { hidden = true })
      task.sleep(0.02)
      reader:cancel("enough")
      print(reader:join())
      os.execute "stty -a | grep -wo -- '-\\?echo'"]], "")
    assert.matches("^false%s+enough$", seen.screen[1])
    assert.equal("echo", seen.screen[2])
  end)

  it("is an error where there is no terminal", function()
    local path = os.tmpname()
    assert(fs.write(path, "print(select(2, require 'orch.term'.read_line()).kind)"))
    local result =
      assert(proc.run { argv = { support.orch, "lua", path }, input = "typed\n", timeout = 10 })
    os.remove(path)
    assert.equal("missing\n", result.stdout)
  end)
end)

describe("term.read", function()
  local SCRIPT <const> = [[
    local term = require "orch.term"
    local size, piece, failure = 0, nil, nil
    repeat
      piece, failure = term.read()
      size = size + #(piece or "")
    until not piece
    print(size, failure)
  ]]

  -- What the script prints whose standard input the shell's words give.
  local function given(input)
    local path = os.tmpname()
    assert(fs.write(path, SCRIPT))
    local result = assert(proc.run { timeout = 30,
      argv = { "sh", "-c", input:gsub("ORCH", '"$1" lua "$2"'), "sh", support.orch, path } })
    os.remove(path)
    return result.stdout
  end

  it("gives all of a pipe, a file, and nothing", function()
    assert.equal("100000\tnil\n", given "head -c 100000 /dev/zero | ORCH")
    assert.equal("5\tnil\n", given "{ printf ab; sleep 0.1; printf cde; } | ORCH")
    local file = os.tmpname()
    assert(fs.write(file, ("x"):rep(50000)))
    assert.equal("50000\tnil\n", given("ORCH < " .. file))
    os.remove(file)
    assert.equal("0\tnil\n", given "ORCH < /dev/null")
    assert.equal("0\tnil\n", given "ORCH <&-")
    assert.matches("cannot read from the standard input: Is a directory", given "ORCH < /")
  end)

  it("takes nothing when it is cancelled", function()
    local seen = in_terminal([[local task, term = require "orch.task", require "orch.term"
      local waiting = task.spawn(term.read)
      task.sleep(0.02)
      waiting:cancel(require "orch.error".new { kind = "cancelled", message = "enough" })
      print(select(2, waiting:join()))
      print("got " .. term.read())]], "wait:enough type:hello\\r")
    assert.same({ "enough", "hello", "got hello" },
      { seen.screen[1], seen.screen[2], seen.screen[3] })
  end)
end)

describe("a terminal that is not orch's for a while", function()
  it("passes on each key, tells of a new size, and is as it was", function()
    local seen = in_terminal([[local task, term = require "orch.task", require "orch.term"
      do
        local lease <close> = assert(term.raw())
        io.write("raw\r\n")
        io.write("got ", term.read():byte(), "\r\n")
        lease:resized()
        io.write(("%d x %d"):format(term.size(0)), "\r\n")
        local again = task.spawn(lease.resized, lease)
        task.sleep(0.01)
        lease:close()
        again:join()
        assert(not pcall(lease.resized, lease))
      end
      print "given back"
      print("typed " .. term.read_line())]],
      "wait:raw type:\\x03 wait:got_3 size:60x20 wait:60_x_20 wait:given_back type:hello\\r")
    assert.equal(0, seen.code)
    assert.is_true(seen.echo)
    assert.matches("hello\ntyped hello", table.concat(seen.all, "\n"), 1, true)
  end)

  it("is as it was when the program is ended, at once too", function()
    for _, signals in ipairs { "kill:15", "kill:2 kill:2" } do
      local seen = in_terminal([[local term = require "orch.term"
        local lease <close> = assert(term.raw())
        io.write("raw\r\n") io.flush()
        require "orch.branches".cleanup(function() require "orch.task".sleep(1) end)
        require "orch.task".sleep(100)]], "wait:raw " .. signals)
      assert.equal(signals == "kill:15" and 143 or 130, seen.code)
      assert.is_true(seen.echo)
    end
  end)

  it("is lent: a program has its Ctrl-C, and what it makes of it is undone", function()
    local seen = in_terminal([[local proc, term = require "orch.proc", require "orch.term"
      local code
      do
        local lease <close> = assert(term.lend())
        local child = assert(proc.start { foreground = true, argv = { "bash", "-c",
          "trap 'echo heard; stty raw -echo; exit 4' INT; echo ready; while :; do sleep 0.05; done" } })
        code = child:wait().code
      end
      print(code)
      print("typed " .. term.read_line())]], "wait:ready type:\\x03 wait:4 type:hello\\r")
    assert.equal(0, seen.code, table.concat(seen.all, "\n"))
    assert.matches("hello\ntyped hello", table.concat(seen.all, "\n"), 1, true)
    seen = in_terminal([[local lease <close> = require "orch.term".lend()
      print "ready"
      require "orch.task".sleep(100)]],
      "wait:ready type:\\x03\\x03\\x03\\x1c pause:0.1 kill:15")
    assert.equal(143, seen.code)
  end)

  it("must be one", function()
    local path = os.tmpname()
    assert(fs.write(path, [[local term = require "orch.term"
      for _, f in ipairs { term.lend, term.raw } do print(f()) end]]))
    local result = assert(proc.run { argv = { support.orch, "lua", path } })
    os.remove(path)
    assert.equal(("nil\tthe standard input is no terminal\n"):rep(2), result.stdout)
  end)
end)
