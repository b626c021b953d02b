-- Signatures against those of botocore, for requests made at random.
local hash = require "orch.hash"
local json = require "orch.json"
local proc = require "orch.proc"

local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$")

local function pick(list) return list[math.random(#list)] end

local function some(list, least, most)
  local pieces = {}
  for i = 1, math.random(least, most) do pieces[i] = pick(list) end
  return table.concat(pieces)
end

local path_pieces = { "/", "//", ".", "..", "a", "B9", "%20", "%2F", "%2f", "%", "é", "ሴ", "~",
  "-_.", ":", "@",
  "+", "=", "&", "'", "(", ")", "*", "!", ",", ";", "$", "|", "/../", "/./", "%zz", " ", "\"", "<",
  "\\", "😀" }
local query_pieces = { "a", "b", "Z", "a-", "%20", "%2f", "%2F", "+", "/", "é", "ሴ", "~", "=", "==",
  "&", "&&", ":",
  "%E1%88%B4", "@", "!", "'", "*", "(", "1", "😀", "%zz", "%", ",", ";", "$", "?", " " }
local value_pieces = { "a", "B", " ", "  ", "\t", "\"", ",", ";", "é", "x=y", "ሴ", "0", ":", "/" }
local hosts = { "example.com", "EXAMPLE.com:8443", "h:443", "h:80", "localhost:5000", "[::1]:9000",
  "[fe80::1]",
  "u:p@h.x", "10.0.0.1:1" }
local names = { "X-Amz-Target", "x-amz-meta", "X-Amz-Meta-A", "Content-Type", "A-b", "a", "Zz",
  "Accept",
  "User-Agent", "Expect", "X-Amzn-Trace-Id" }

local function random_request()
  local headers, sent = {}, {}
  for _ = 1, math.random(0, 5) do
    local name = pick(names)
    if not sent[name] then
      local values = {}
      for i = 1, math.random(1, 3) do
        values[i] = some(value_pieces, 0, 6)
        headers[#headers + 1] = { name, values[i] }
      end
      sent[name] = #values == 1 and values[1] or values
    end
  end
  local s3 = math.random() < 0.2
  local path = not s3 and math.random() < 0.1 and "" or "/" .. some(path_pieces, 0, 8)
  local query = math.random() < 0.3 and "" or "?" .. some(query_pieces, 0, 10)
  return {
    method = pick { "GET", "POST", "PUT", "DELETE", "HEAD" }, s3 = s3,
    headers = json.array(headers),
    url = pick { "http", "https" } .. "://" .. pick(hosts) .. path .. query
      .. (math.random() < 0.1 and "#f" or ""),
    body = some(value_pieces, 0, 9), time = math.random(0, 4102444800),
    service = s3 and "s3" or "ecr",
    access_key = "AKID" .. math.random(1e9), secret_key = hash.base64(hash.random(30, "raw")),
    session_token = math.random() < 0.3 and hash.base64(hash.random(90, "raw")) or nil,
    region = "eu-west-1",
  }, sent
end

describe("hash.sigv4 and botocore", function()
  local found = proc.run { argv = { "/usr/bin/python3", "-c", "import botocore" } }
  if not found or found.code ~= 0 then
    pending "skipped: no botocore"
    return
  end

  it("agree on random requests", function()
    math.randomseed(20150830)
    local requests, lines = {}, {}
    for i = 1, 600 do
      local request, sent = random_request()
      requests[i], lines[i] = { request, sent }, json.encode(request)
    end
    local reply = assert(proc.run {
      argv = { "/usr/bin/python3", "-I", here .. "/servers/botocore_sign.py" },
      input = table.concat(lines, "\n"),
      timeout = 120, split = true,
    })
    assert.equal(0, reply.code, reply.stderr)
    local i = 0
    for line in reply.stdout:gmatch "[^\n]+" do
      i = i + 1
      local request, sent = table.unpack(requests[i])
      local answer = json.decode(line)
      local options = {}
      for key, value in pairs(request) do options[key] = value end
      options.headers = sent
      local signed = hash.sigv4(options)
      local told = answer.canonical_request:gsub("(x%-amz%-security%-token:)[^\n]*", "%1***")
      assert.equal(told, signed.canonical_request, lines[i])
      assert.equal(answer.authorization, signed.headers.authorization, lines[i])
    end
    assert.equal(600, i)
  end)
end)
