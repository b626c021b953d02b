local env_file = require "orch.env_file"
local error_value = require "orch.error"
local fs = require "orch.fs"
local proc = require "orch.proc"
local secret = require "orch.secret"

local NAMES <const> = { "A", "B_1", "_c", "Long_Name9" }

local dir
local function with_dir()
  before_each(function() dir = assert(fs.make_temp("/tmp/orch-spec-")) end)
  after_each(function() assert(fs.remove(dir)) end)
end

-- What bash has after sourcing a file: of our names only.
local function sourced(text)
  local file = dir .. "/env"
  assert(fs.write(file, text))
  local result =
    assert(proc.run { split = true, env = { PATH = os.getenv("PATH"), LC_ALL = "C.UTF-8" },
    argv = { "bash", "--norc", "-c", "set -a; source \"$0\" || exit 9; env -0", file } })
  local values = {}
  for name, value in result.stdout:gmatch("([^=%z]+)=([^%z]*)%z") do values[name] = value end
  for _, ours in ipairs { "PATH", "PWD", "SHLVL", "_", "LC_ALL", "OLDPWD" } do
    values[ours] = nil
  end
  return values, result
end

local function agree(text)
  local values, result = sourced(text)
  assert.same({ 0, "" }, { result.code, result.stderr }, text)
  assert.same(values, env_file.parse(text, "f"), text)
end

-- Texts, each a way to write a part of a value, that both must understand in the same way.
local PARTS <const> = {
  "abc", "a-b.c", "7", "%", "=", "x=y", ":/@,+", "é", "日本", "~", "a~b", "!", "]", "[x", "{", "}",
  "{}", "*", "?", "^",
  "a#b", "a#", "''", '""', "' '", "'$A `x` \"\\'", "'a\nb'", "'é'", '"a b"', '"é\n"', '"\\$A"',
  '"\\`x\\`"', '"\\"q\\""',
  '"\\\\"', '"\\n\\x"', '"a\\\nb"', '"\'"', '"#"', '"  lead"', "$'a\\nb'", "$'\\t\\\\'", "$'\\''",
  "$'\\x41\\x4'",
  "$'\\101\\7'", "$'\\e[0m'", "$'\\q'", "$'é'", "\\ ", "\\a", "\\$A", "\\'", '\\"', "\\\\", "\\#",
  "\\é", "\\\n", "\\;",
  "$A", "${A}", '"$A"', '"${A}b"', "${B_1}x", "$_c", "$'\\u00e9'", "$'\\U1F600'", "$'\\cA'",
  '"!"', '"$"', "a$", '"a$ b"', "$'a'\"b\"'c'd", "a\\&b", "\"\t\"", "'\t'", "~/x", "x:~", "a\"\"b",
  "{a,b}", "\\~",
}

local function generate(random)
  local lines = { "A=1", "B_1='two words'", "_c=", "Long_Name9=\"quote's\"" }
  for _ = 1, random(1, 6) do
    local kind = random(12)
    local words = {}
    for i = 1, kind == 1 and 2 or 1 do
      local value = {}
      for k = 1, random(0, 4) do value[k] = PARTS[random(#PARTS)] end
      words[i] = NAMES[random(#NAMES)] .. "=" .. table.concat(value)
    end
    local line = table.concat(words, " ")
    if random(3) > 1 then line = "export " .. line end
    if kind == 2 then line = line .. " # a comment 'with $quotes" end
    if kind == 3 then line = "  \t" .. line .. "  " end
    if kind == 4 then line = "# only = words\n\n" .. line end
    if kind == 5 then line = line .. " ; " .. NAMES[random(#NAMES)] .. "=after" end
    if kind == 6 then line = "export \\\n  " .. line:gsub("^export ", "") end
    if kind == 7 then line = line .. ";" end
    lines[#lines + 1] = line
  end
  return table.concat(lines, "\n") .. (random(4) == 1 and "" or "\n")
end

describe("env_file.parse", function()
  with_dir()

  it("reads what jobs write", function()
    assert.same({ ECR_URL = "public.ecr.aws", TAG = "0.1.7", U = "public.ecr.aws/app:0.1.7",
      EMPTY = "" },
      env_file.parse('# made by a job\nexport ECR_URL="public.ecr.aws"\nTAG=0.1.7\n\nexport U=$ECR_URL/app:${TAG} # x\nEMPTY=', "f"))
    assert.same({}, env_file.parse("", "f"))
    assert.same({}, env_file.parse("\n \t\n# x\n#", "f"))
  end)

  it("agrees with bash on each way to write a value", function()
    for _, part in ipairs(PARTS) do
      local good, values = pcall(env_file.parse, "A=first B_1=b _c=c\nexport B_1=" .. part .. "\n",
        "f")
      if good then
        assert.same(sourced("A=first B_1=b _c=c\nexport B_1=" .. part .. "\n"), values, part)
      else
        assert.matches("^f:2: ", values.message, part)
      end
    end
  end)

  it("agrees with bash on 400 generated files, or refuses them", function()
    local state = 20261123
    local function random(from, to)
      if not to then from, to = 1, from end
      state = (state * 6364136223846793005 + 1442695040888963407) & math.maxinteger
      return from + (state >> 20) % (to - from + 1)
    end
    local understood = 0
    for _ = 1, 400 do
      local text = generate(random)
      local good, values = pcall(env_file.parse, text, "f")
      if good then
        understood = understood + 1
        assert.same(sourced(text), values, text)
      else
        assert.is_true(error_value.is(values), tostring(values))
        assert.matches("^f:%d+: ", values.message)
      end
    end
    assert.is_true(understood >= 200, understood)
  end)

  it("agrees with bash on comments, separators, continued lines and the last line", function()
    for _,
      text in ipairs { "A=1\tB_1=2", "A=1 B_1=$A", "export A=1 B_1=2 # c", "A=1;B_1=2", "A='x'",
      "A=1\n\n\n",
      "export\tA=1", "A=b\\\nc", "A=#x", "A= # x", "A=a #b", "export A=1;export B_1=2",
      "A=1; # c\n", "B_1=2 A=$B_1", "B_1=0; export B_1=2 A=$B_1", "export A=1 \\\n B_1=2 # c\n_c=3",
      "A=1\\\n#2", "A=\\\n", "A=1 B_1=2\nexport A B_1 _c=3 # c", "A=1; export A;",
      "A=1\nexport A=2 A", "_c=1\n_c9=2\nA=$_c\\\n9 B_1=\"$_c\\\n9\"", "A=1\nB_1=$A\\\n~",
      "A=$'\\x417\\1018\\u00e99'", "A=$'\\u00e9\\U1F600\\E'", 'A="$"', "A=$ B_1=a$" } do
      agree(text)
    end
  end)

  it("refuses what only a shell can do, naming file and line", function()
    local cases = {
      "A=$(date)", "A=`date`", 'A="$(date)"', 'A="`date`"', "A=${B:-x}", "A=${#B}", "A=$1", "A=$?",
      "A=$$", "A=$((1+1))",
      "A=1 && B=2", "A=1 | cat", "A=1 > /tmp/x", "A=1 < /tmp/x", "A=(1 2)", "A+=1", "A[0]=1",
      "echo x", "A=1 echo x",
      "if true; then", "source x", "export A", "unset A", "A = 1", "1A=x", "A-B=x", "export -p",
      "A='x", 'A="x', "A=$'x",
      "A=1 )", "A=x&", "A=x & B=2", "declare A=1", "readonly A=1", "A=~", "A=~/x", "A=x:~/y",
      'A="${B"', "A=$\"x\"",
      "A=$'a\\0b'", "A=1\r\nB=2\r", "A=a\0b", "export A=1 B",
      "A=x\\", "A=$HOME", "A=${UNSET}/x", 'A="$PATH:/x"', "A=1;;", "; A=1", "A={a,b}", "A=$[1]",
      "A=$'\\cA'", "A=$'\\U110000'",
      "A=1 export B=2", "A=\1", "A=\\\n~", "A=x:\\\n~/y", "A=1\nexport A-B", "A=1; export A#",
    }
    for _, text in ipairs(cases) do
      local good, failure = pcall(env_file.parse, "OK=1\n# c\n" .. text, "vars.sh")
      assert.is_false(good, text)
      assert.is_true(error_value.is(failure), tostring(failure))
      assert.equal("usage", failure.kind)
      assert.matches("^vars%.sh:%d+: .", failure.message, text)
      assert.matches("export NAME='value'", failure.hint, 1, true)
    end
    local _, failure = pcall(env_file.parse, "A=1\nB='x\ny'\nC=$(d)\n", "vars.sh")
    assert.matches("^vars%.sh:4: ", failure.message)
  end)
end)

describe("env_file.set", function()
  with_dir()

  local ODD <const> = {
    "", " ", "plain", "a b", "it's", '"q"', "$HOME", "`x`", "a\\b", "\\", "a\nb", "\n", "a\n\n",
    "é 日本", "#x", "a #b", "a;b", "*",
    "~", "%d%%", "%1", "\t", "\1\27[0m", "-n", "=", "a=b", "'", "''", "a'b'c", "\r", "!!", "&",
    "$'x'", "{a,b}", "export A=1",
    "x\nexport B_1=2\n", "'\n'",
  }

  it("adds variables in the order of their names", function()
    assert.equal("export A=1\nexport B=x\n", env_file.set("", { B = "x", A = 1 }, "f"))
    assert.equal("# c\nX=1\nexport A=2\n", env_file.set("# c\nX=1", { A = 2 }, "f"))
  end)

  it("gives bash and itself back every value", function()
    for _, value in ipairs(ODD) do
      local text = env_file.set("", { A = value, B_1 = "after" }, "f")
      assert.same({ A = value, B_1 = "after" }, env_file.parse(text, "f"), value)
      assert.same({ A = value, B_1 = "after" }, (sourced(text)), value)
    end
  end)

  it("twice is once, whatever was there", function()
    for _,
      before in ipairs { "", "A=old\n", "export A=old\n", "export A='x\ny' # c\nB_1=$A\n",
      "A=1\nA=2\n", "A=1 B_1=2\n",
      "export A=1\nexport A=2\nexport A=3\n", "# export A=1\n", "B_1='\nexport A=no\n'\n" } do
      for _, value in ipairs(ODD) do
        local once = env_file.set(before, { A = value }, "f")
        assert.equal(once, env_file.set(once, { A = value }, "f"), before .. value)
        assert.equal(value, env_file.parse(once, "f").A)
        local again = env_file.set(once, { A = "other" }, "f")
        local all = env_file.parse(again, "f")
        assert.equal("other", all.A)
      end
    end
  end)

  it("is not swallowed by a last line that goes on", function()
    for _,
      before in ipairs { "A=x\\\n", "A=x \\\n", "export \\\n  A=x \\\n", "A='x' # \\\n",
      "A=x\\\\\n" } do
      local text = env_file.set(before, { TAG = "1" }, "f")
      local values = env_file.parse(text, "f")
      assert.same({ A = before:find("\\\\", 1, true) and "x\\" or "x", TAG = "1" }, values)
      assert.same(values, (sourced(text)))
      assert.equal(text, env_file.set(text, { TAG = "1" }, "f"))
    end
  end)

  it("does not grow when a value changes again and again", function()
    local text = "# head\nexport Z=1\n"
    for i = 1, 50 do text = env_file.set(text, { TAG = "it's " .. i, N = i }, "f") end
    assert.equal("# head\nexport Z=1\nexport N=50\nexport TAG='it'\\''s 50'\n", text)
  end)

  it("leaves other lines and comments alone", function()
    local text = "# TAG is set below\nX='TAG=1'\nTAG=1 # by hand\nTAGS=2\n"
    local changed = env_file.set(text, { TAG = "2" }, "f")
    assert.same({ X = "TAG=1", TAG = "2", TAGS = "2" }, env_file.parse(changed, "f"))
    assert.matches("^# TAG is set below\nX='TAG=1'\n", changed)
  end)

  it("refuses names and values that no variable can have", function()
    for _, bad in ipairs { "", "1A", "A-B", "A B", "A=", "é", 1 } do
      local good, failure = pcall(env_file.set, "", { [bad] = "x" }, "vars.sh")
      assert.is_false(good)
      assert.same({ "usage", true },
        { failure.kind, failure.message:find("vars.sh", 1, true) ~= nil })
    end
    for _, bad in ipairs { {}, true, print, "a\0b", secret.new("hunter2", "S") } do
      local good, failure = pcall(env_file.set, "", { A = bad }, "vars.sh")
      assert.is_false(good)
      assert.equal("usage", failure.kind)
      assert.matches("vars.sh: 'A'", failure.message, 1, true)
    end
  end)

  it("refuses a file that it does not understand", function()
    local good, failure = pcall(env_file.set, "A=$(date)\n", { B = "x" }, "vars.sh")
    assert.is_false(good)
    assert.matches("^vars%.sh:1: ", failure.message)
  end)
end)
