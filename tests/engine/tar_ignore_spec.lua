local json = require "orch.json"
local tar = require "orch.tar"

local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$")
local shared = os.getenv("ORCH_SHARED") or here .. "/../../../shared"

local function excluded(text, path) return assert(tar.ignore(text)):excluded(path) end

describe("tar.ignore", function()
  it("agrees with BuildKit on the table of cases", function()
    local file = io.open(shared .. "/facts/dockerignore_cases.json")
    if not file then return pending("dockerignore_cases.json is not here") end
    local t = json.decode(file:read "a")
    file:close()
    local wrong = {}
    for _, case in ipairs(t.cases) do
      local text = case.specific_dockerignore
      if text == nil or text == json.null then text = case.dockerignore end
      local matcher, err = tar.ignore(text == json.null and "" or text)
      if case.error then
        assert.equal("usage", err and err.kind)
      else
        local sent, listed = {}, {}
        for _, path in ipairs(case.excluded) do listed[path] = true end
        for _, path in ipairs(t.paths) do
          while path and not matcher:excluded(path) do -- and the directories above it
            repeat
              sent[path] = true
              path = path:match "^(.*)/[^/]*$"
            until not path
          end
        end
        for _, path in ipairs(t.paths) do
          if (sent[path] or false) == (listed[path] or false) then
            wrong[#wrong + 1] = ("%d: %s"):format(case.id, path)
          end
        end
      end
    end
    assert.same({}, wrong)
  end)

  local cases = { -- patterns, path, excluded?
    { "a/[^b]c", "a/xc", true }, { "a/[^b]c", "a/bc", false }, { "a[^b]c", "a/c", true },
    { "[[:digit:]]x", "7x", true }, { "[[:digit:]]x", "ax", false }, { "\\d?", "7x", true },
    { "[*].c", "x.c", false }, { "^*.c", "x.c", true }, { "x^*", "x^y", false },
    { "**/*.o", "a.o", true }, { "**/*.o", "a/b/c.o", true }, { "**/*.o", "a.oo", false },
    { "a/**/b", "a/b", true }, { "a/**/b", "a/x/y/b", true }, { "a/**/b", "ab", false },
    { "***/x", "p/q/x", true }, { "a**b", "a/x/yb", false }, { "a**b", "ab", true },
    { "a?c", "a\xffc", true }, { "a?c", "aéc", true }, { "a?c", "a/c", false },
    { "\xEF\xBB\xBFfoo", "foo", true }, { "foo\u{A0}", "foo", true }, { "/#x", "#x", true },
    { "/!x\nx", "x", true }, { "x\n/!x", "x", false }, { "*\n!a/b\n", "a", true },
    { "a\n!a/b", "a/b", false }, { "a\n!a/b\na/b/c", "a/b/c", true }, { "\\bin", "in", true },
    { "src\\bin", "src\\bin", false }, { "\\Qa*", "a[^/]*$z", true }, { "a\\.b", "a.b", true },
    { "[a-c]/x", "b/x/y", true }, { "*/x", "b/x/y/z", true }, { "*", "b/x", true },
    { ".", "a", false }, { "**", "a/b", true }, { "!x", "x", false }, { "a\\\\b", "a\\b", true },
    -- the daemon's expression quotes '.', '+', '(', ')' and '$', but not these
    { "a|b", "a|b", true }, { "a|b", "a", false }, { "a*|b", "axe", true },
    { "x*|b", "q/ab", true },
    { "x*|b", "xyz/q", true }, { "*.c|y|z", "ayb", true }, { "*.c|^y|z", "ayb", false },
    { "q|*.c", "q.d", true },
    { "?{2}", "ab", true }, { "?{2}", "abc", false }, { "a{2,}?", "aaaax", true },
    { "a{2,}?", "ax", false },
    { "a{,2}?", "a{,2}x", true }, { "a{0,1}?", "x", true }, { "a{01}?", "a{01}x", true },
    { "\\d{1,3}", "123", true },
    { "\\d{1,3}", "1234", false }, { "a{2}", "aa", false }, { "^{0}x*", "qx", false },
    { "\\x{e9}", "é", true },
    { "a/*/x\\", "a/b/x$c", true }, { "a/*[]x]", "a/b]", true }, { "a/*[-x]", "a/b-", true },
  }
  for _, case in ipairs(cases) do
    it(("%s for %q with %q"):format(case[3] and "excludes" or "keeps", case[2], case[1]), function()
      assert.equal(case[3], excluded(case[1], case[2]))
    end)
  end

  it("refuses what Docker refuses, and names the line", function()
    for _, text in ipairs { "!", "[a", "bar/[", "a\\", "[]", "[a-]", "[-a]", "! ", "!/", "[z-a]",
      "[[:foo:]]", "x\\z?\\8*", "a\\é",
      "*|{2}", "?{2}{3}", "?{1001}", "?{3,1}", "*/**/{2}x", "\\x{}", "\\x{110000}", ".[-a]*",
      "*[]" } do
      local matcher, err = tar.ignore("# first\n" .. text)
      assert.is_nil(matcher, text)
      assert.equal("usage", err.kind)
      assert.matches("line 2", err.message)
    end
  end)

  it("sees UTF-16 for what it is", function()
    local _, err = tar.ignore("\xff\xfea\0b\0")
    assert.equal("usage", err.kind)
    assert.matches("UTF%-16", err.message)
  end)

  it("has ceilings for lines and patterns", function()
    assert.equal("limit", select(2, tar.ignore(("x"):rep(70000))).kind)
    assert.equal("limit", select(2, tar.ignore(("x\n"):rep(10001))).kind)
  end)

  it("is not slowed down by a hostile pattern", function()
    local matcher = assert(tar.ignore(("**/a*"):rep(40) .. "b"))
    local start = os.clock()
    assert.is_false(matcher:excluded(("a"):rep(200) .. "c"))
    assert.is_false(matcher:excluded((("a"):rep(20) .. "/"):rep(100) .. "x"))
    assert.is_true(os.clock() - start < 2)
  end)
end)
