-- How fast secrets are found in what a build prints: 50 of them, MB/s of processor time.
local secret = require "orch.secret"

local SIZE <const> = 8 << 20
local ALNUM <const> = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

local LINES <const> = {
  "[ 42%%] Building C object CMakeFiles/base.dir/engine/base/mask_%d.c.o",
  "gcc -O2 -Wall -Wextra -DNDEBUG -I/usr/include/x86_64-linux-gnu -c src/module_%d.c -o build/module.o",
  "npm WARN deprecated request@2.88.%d: request has been deprecated, see https://github.com/request/request/issues/3142",
  "  ---> Running in 4f5b3c2a1d%d",
  "Step %d/12 : RUN apt-get update && apt-get install -y --no-install-recommends curl ca-certificates",
  "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a%02d: Pulling fs layer",
  "2024-05-01T12:00:%02d.123Z INFO  com.example.Service - handled in 12 ms status=200 path=/api/v1/items",
}

math.randomseed(7)
local function random_text(len, letters)
  local text = {}
  for i = 1, len do
    local k = math.random(#letters)
    text[i] = letters:sub(k, k)
  end
  return table.concat(text)
end

local KINDS <const> = {
  function() return random_text(20, ALNUM) end,
  function() return "ghp_" .. random_text(36, ALNUM) end,
  function() return random_text(40, ALNUM .. "+/") end,
  function() return random_text(16, ALNUM .. "!$%'\" /") end,
  function() return random_text(64, "0123456789abcdef") end,
}

local masker, secrets = secret.masker(), {}
for i = 1, 50 do
  secrets[i] = KINDS[i % #KINDS + 1]()
  masker:add(secrets[i])
end

local function build_output(with_secrets)
  local lines, size = {}, 0
  while size < SIZE do
    local line = LINES[math.random(#LINES)]:format(math.random(99))
    if with_secrets and #lines % 50 == 0 then line = line .. secrets[math.random(#secrets)] end
    lines[#lines + 1] = line .. "\n"
    size = size + #line + 1
  end
  return table.concat(lines), lines
end

local function measure(title, text, f)
  f()
  local rounds, started = 0, os.clock()
  repeat
    f()
    rounds = rounds + 1
  until os.clock() - started > 1
  print(("  %-46s %7.0f MB/s"):format(title, #text * rounds / 1e6 / (os.clock() - started)))
end

local function stream(pieces)
  return function()
    local s = masker:stream()
    for _, piece in ipairs(pieces) do s:feed(piece) end
    s:flush()
  end
end

local function cut(text, size)
  local pieces = {}
  for from = 1, #text, size do pieces[#pieces + 1] = text:sub(from, from + size - 1) end
  return pieces
end

print("\nmasking: 50 secrets in what a build prints")
local none, none_lines = build_output(false)
local some = build_output(true)
measure("whole text, none in it", none, function() masker:apply(none) end)
measure("whole text, one in 50 lines", some, function() masker:apply(some) end)
measure("stream of 64 KiB pieces, none in it", none, stream(cut(none, 65536)))
measure("stream of 64 KiB pieces, one in 50 lines", some, stream(cut(some, 65536)))
measure("stream of lines, none in it", none, stream(none_lines))

local tokens = {}
for i = 1, 100 do tokens[i] = random_text(4096, ALNUM .. "+/") end
local started = os.clock()
for _, token in ipairs(tokens) do masker:add(token) end
print(("  adding a token of 4 KiB %32.0f us"):format((os.clock() - started) / #tokens * 1e6))
measure("whole text, none in it, 100 tokens more", none, function() masker:apply(none) end)
