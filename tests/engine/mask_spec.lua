local fs = require "orch.fs"
local hash = require "orch.hash"
local proc = require "orch.proc"
local secret = require "orch.secret"

local function masker(...)
  local m = secret.masker()
  for _, value in ipairs { ... } do assert.is_true(m:add(secret.new(value, "S"))) end
  return m
end

local function fed(m, text, ...)
  local s, out, from = m:stream(), {}, 1
  for _, cut in ipairs { ... } do
    out[#out + 1] = s:feed(text:sub(from, cut))
    from = cut + 1
  end
  out[#out + 1] = s:feed(text:sub(from))
  out[#out + 1] = s:flush()
  return table.concat(out)
end

-- The text in one piece, cut at every place, and byte by byte.
local function masks(m, text, expected)
  assert.equal(expected, m:apply(text))
  local every = {}
  for cut = 0, #text do
    assert.equal(expected, fed(m, text, cut), "cut at " .. cut)
    every[#every + 1] = cut
  end
  assert.equal(expected, fed(m, text, table.unpack(every)))
end

local function wrapped(text, columns, ending)
  return (text:gsub(("."):rep(columns), "%0" .. ending))
end

local function hex(text, format)
  return (text:gsub("[^%w]", function(c) return format:format(c:byte()) end))
end

describe("mask", function()
  it("puts *** in place of a value, wherever it stands", function()
    local m = masker "hunter22"
    masks(m, "hunter22", "***")
    masks(m, "-p hunter22 -u hunter2\n", "-p *** -u hunter2\n")
    masks(m, "hunter22hunter22,hunter2", "******,hunter2")
  end)

  it("refuses what is too short", function()
    local m = secret.masker()
    assert.is_false(m:add "abc")
    assert.is_false(m:add(""))
    assert.equal("abc", m:apply("abc"))
    assert.is_true(m:add "abcd")
    assert.equal("***", m:apply("abcd"))
  end)

  it("hides secrets that overlap as one", function()
    masks(masker("abcdef", "defghi"), "xabcdefghiy", "x***y")
    masks(masker("abcd", "abcdefgh"), "abcdefg abcdefgh", "***efg ***")
    masks(masker("abcdefgh", "cdef"), "abcdefg", "ab***g")
    masks(masker("abab"), "ababababa", "***a")
  end)

  it("masks each line of a secret that says something", function()
    local m = masker("-----BEGIN KEY-----\nMIIEvQ1\n  indented value\r\n}\nab\n-----END KEY-----\n")
    masks(m, "}\n-----BEGIN KEY-----\nab", "}\n-----BEGIN KEY-----\nab")
    masks(m, "a MIIEvQ1 b indented value c", "a *** b *** c")
    masks(m, "<-----BEGIN KEY-----\nMIIEvQ1\n  indented value\r\n}\nab\n-----END KEY-----\n>",
      "<***>")
    masks(m, "-----BEGIN KEY-----\r\nMIIEvQ1\r\n", "-----BEGIN KEY-----\r\n***\r\n")
  end)

  it("masks what is escaped for a URL", function()
    local value = "p/ss w:rd+%~'x"
    local m = masker(value)
    masks(m, "?a=" .. hex(value, "%%%02X") .. "&b", "?a=***&b")
    masks(m, "?a=" .. hex(value, "%%%02x") .. "&b", "?a=***&b")
    masks(m, "p%2Fss+w%3Ard%2B%25~'x", "***")       -- form
    masks(m, "p/ss%20w:rd%2B%25~%27x", "***")       -- path
    masks(m, "p/ss%20w:rd%2B%25~%27y", "p/ss%20w:rd%2B%25~%27y")
  end)

  it("masks what is escaped for JSON", function()
    local value = "a/\"b\\c\n<é😀>\1'\t&"
    local m = masker(value)
    for _, text in ipairs {
      [[a/\"b\\c\n<é😀>\u0001'\t&]],
      [[a\/\"b\\c\n<é😀>\u0001'\t&]],
      [[a/\u0022b\u005cc\u000a\u003cé😀\u003e\u0001\u0027\u0009\u0026]],
      [[a/\u0022b\u005Cc\u000A\u003C\u00e9\ud83d\ude00\u003E\u0001\u0027\t\u0026]],
      [[a\/\"b\\c\n<\u00E9\uD83D\uDE00>\u0001'\t&]],
    } do masks(m, '{"v":"' .. text .. '"}', '{"v":"***"}') end
  end)

  it("masks what a shell quotes", function()
    local m = masker "it's $5 \"net\""
    masks(m, [['it'\''s $5 "net"']], "'***'")
    masks(m, [['it'"'"'s $5 "net"']], "'***'")
    masks(m, [["it's \$5 \"net\""]], '"***"')
    masks(m, [[it\'s\ \$5\ \"net\"]], "***")
  end)

  it("masks base64 wherever the secret stands in the encoded text", function()
    for _,
      value in ipairs { "correct horse", "\xff\xfe\xfb\xf0?>?>abc", "twelve bytes",
      "eleven byte" } do
      local m = masker(value)
      for before = 0, 3 do
        for after = 0, 3 do
          local text = ("u"):rep(before) .. value .. ("v"):rep(after)
          for _, alphabet in ipairs { "standard", "url" } do
            local encoded = alphabet == "url" and hash.base64(text, "url") or hash.base64(text)
            local shown = m:apply(encoded)
            assert.is_truthy(shown:find("***", 1, true), encoded)
            assert.is_true(#shown:gsub("%*+", "") <= 2 * ((before + 2) // 3) + 2 * before
              + 2 * after + 3, shown)
            masks(m, encoded, shown)
          end
        end
      end
    end
    masks(masker "abcd", "YWJjZA==", "***")
    masks(masker "correct horse", hash.base64("correct horse"), "***")
  end)

  it("masks base64 that was cut into lines", function()
    local value = ("0123456789abcdefghij/+?~"):rep(6)
    local m = masker(value)
    for _, columns in ipairs { 64, 70, 76 } do
      for _, ending in ipairs { "\n", "\r\n", "\n    " } do
        for before = 0, 4 do
          local encoded = hash.base64(("u"):rep(before + 45) .. value)
          local text = "key: " .. wrapped(encoded, columns, ending) .. "\nend\n"
          local shown = m:apply(text)
          assert.is_nil(shown:gsub("%s", ""):find(encoded:sub(-40), 1, true))
          assert.equal(1, select(2, shown:gsub("%*%*%*", "")), shown)
          assert.matches("%*%*%*%s+end\n$", shown)
          masks(m, text, shown)
        end
      end
    end
    masks(masker "MDEyMzQ1Njc4OWFiY2Rl", "MDEyMzQ1Njc4\nOWFiY2Rl", "MDEyMzQ1Njc4\nOWFiY2Rl")
  end)

  it("shows at once what begins no secret", function()
    local m = masker "hunter22"
    local s = m:stream()
    assert.equal("Password: ", s:feed "Password: ")
    assert.equal("a ", s:feed "a hun")
    assert.equal("hunt\n", s:feed "t\n")
    assert.equal("", s:feed "hunter2")
    assert.equal("***", s:feed "2")
    assert.equal("", s:feed "hunter")
    assert.equal("hunter", s:flush())
    assert.equal("", s:flush())
    assert.equal("2", s:feed "2")
  end)

  it("masks in a stream what was added after it began", function()
    local m = secret.masker()
    local s = m:stream()
    assert.equal("a token ", s:feed "a token ")
    m:add(secret.new("token two", "T"))
    assert.equal("a ", s:feed "a token")
    assert.equal("***.", s:feed " two.")
  end)

  it("keeps the masker of a stream alive", function()
    local s = masker "hunter22":stream()
    collectgarbage()
    collectgarbage()
    assert.equal("***", s:feed "hunter22")
  end)

  it("masks bytes of all kinds", function()
    masks(masker "\0\1\2\3\0", "x\0\1\2\3\0y", "x***y")
    masks(masker("%%%%", "\\\\\\\\", "''''"), "%%%% \\\\\\\\ ''''", "*** *** ***")
    masks(masker("%%%%", "\\\\\\\\", "''''"), [[%25%25%25%25 \\\\\\\\ '\'''\'''\'''\'']],
      "*** *** ***")
  end)

  -- Every occurrence of every secret, and the union of those that overlap.
  local function model(values, text)
    local covers, out, from = {}, {}, 1
    for at = 1, #text do
      for _, value in ipairs(values) do
        if text:sub(at, at + #value - 1) == value then
          covers[at] = math.max(covers[at] or 0, at + #value)
        end
      end
    end
    local hidden = 0
    for at = 1, #text do
      if covers[at] and covers[at] > hidden then
        if at >= hidden then out[#out + 1] = text:sub(from, at - 1) .. "***" end
        hidden, from = covers[at], covers[at]
      end
    end
    return table.concat(out) .. text:sub(from)
  end

  local function random_text(len, letters)
    local text = {}
    for i = 1, len do text[i] = letters[math.random(#letters)] end
    return table.concat(text)
  end

  it("does to random cuts of random texts what it does to the whole", function()
    math.randomseed(11)
    for _ = 1, 400 do
      local values = {}
      for i = 1, math.random(6) do values[i] = random_text(math.random(4, 12), { "a", "b" }) end
      local m, text = masker(table.unpack(values)),
        random_text(math.random(0, 120), { "a", "b", "b", "a", "\n" })
      local expected, cuts, at = model(values, text), {}, 0
      assert.equal(expected, m:apply(text))
      repeat
        at = at + math.random(0, 9)
        cuts[#cuts + 1] = at
      until at >= #text
      assert.equal(expected, fed(m, text, table.unpack(cuts)))
    end
  end)

  it("does so with escapes and lines of base64 too", function()
    math.randomseed(12)
    local value = "k/y 1'\n\\\"é and a good deal more of it, so that lines are too short"
    local m = masker(value, "a%b c\\d", ("xY3/"):rep(20))
    local encoded = hash.base64(value)
    local parts = { value, "\n", "\r", "\r\n", " ", "%", "\\", "'\\''", "a%25b+c%5Cd", "a%b c\\\\d",
      encoded,
      encoded:sub(1, 10), encoded:sub(11), ("xY3/"):rep(16), ("xY3/"):rep(4), ("u"):rep(61),
      "\\u00e9", "k", "k/",
      "k%2Fy+1%27%0A", "\\u005c", "\27[1m", "\27", "[0m" }
    for _ = 1, 600 do
      local text = random_text(math.random(1, 12), parts)
      local expected, cuts, at = m:apply(text), {}, 0
      repeat
        at = at + math.random(0, 20)
        cuts[#cuts + 1] = at
      until at >= #text
      assert.equal(expected, fed(m, text, table.unpack(cuts)))
    end
  end)
end)

describe("a program that has a secret", function()
  local dir, orch
  before_each(function()
    dir = assert(fs.make_temp("/tmp/orch-spec-"))
    orch = assert(fs.real_path("/proc/self/exe"))
  end)
  after_each(function() assert(fs.remove(dir)) end)

  local HAVE <const> = 'require("orch.secret").new("correct horse", "S")\n'

  -- What the shell command prints and leaves when the engine runs the chunk in an empty directory,
  -- as nobody if we are root.
  local function run(before, chunk)
    assert(fs.write(dir .. "/chunk.lua", before .. chunk))
    assert(fs.make_dir(dir .. "/cwd"))
    local result = assert(proc.run { argv = { "/bin/sh", "-c",
      'chmod 777 "$2/cwd" "$2" && cd "$2/cwd" && ulimit -c unlimited && as= && '
      .. 'if [ "$(id -u)" = 0 ]; then as="setpriv --reuid=65534 --regid=65534 --clear-groups"; fi; '
      .. '$as "$1" lua "$2/chunk.lua" 2>&1; ls', "sh", orch, dir } })
    return result.stdout
  end

  local CRASH <const> = [[
    local proc, fs = require "orch.proc", require "orch.fs"
    proc.run { argv = { "/bin/kill", "-ABRT", fs.real_path("/proc/self"):match("%d+") } }
    require("orch.task").sleep(5)]]

  it("leaves no core", function()
    if not run("", CRASH):find("core") then
      return pending "no core here without a secret either"
    end
    assert(fs.remove(dir .. "/cwd"))
    assert.is_nil(run(HAVE, CRASH):find("core"))
  end)

  local LOOK <const> = [[
    local proc, fs = require "orch.proc", require "orch.fs"
    local pid = fs.real_path("/proc/self"):match("%d+")
    local result = assert(proc.run { argv = { "/bin/sh", "-c", "head -c 1 /proc/$1/environ >/dev/null 2>&1 && echo open",
      "sh", pid } })
    print(result.stdout:find("open") and "open" or "shut")
    print(fs.real_path("/proc/self/exe"))]]

  it("shows its environment to no other process, and still finds itself", function()
    assert.equal("open\n" .. orch .. "\n", run("", LOOK))
    assert.equal("shut\n" .. orch .. "\n", run(HAVE, LOOK))
  end)
end)
