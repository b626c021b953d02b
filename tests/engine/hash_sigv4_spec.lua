local hash = require "orch.hash"
local json = require "orch.json"
local lfs = require "lfs"
local secret = require "orch.secret"

local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$")
local shared = os.getenv "ORCH_SHARED" or here .. "/../../../shared"
local vectors = shared .. "/facts/sigv4-vectors/aws-c-auth-v4"

local function slurp(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

local function basic(more)
  local options = {
    url = "https://example.amazonaws.com/", access_key = "AKIDEXAMPLE", time = 1440938160,
    secret_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", region = "us-east-1",
    service = "service",
  }
  for key, value in pairs(more or {}) do options[key] = value end
  return options
end

local function refused(more, pattern)
  local good, err = pcall(hash.sigv4, basic(more))
  assert.is_false(good)
  assert.matches(pattern, tostring(err))
end

-- The options that a case of the vectors stands for.
local function read_case(case)
  local folder = vectors .. "/" .. case .. "/"
  local context = assert(json.decode(slurp(folder .. "context.json")))
  local head, body = (slurp(folder .. "request.txt") .. "\n\n"):match "^(.-)\n\n(.-)\n*$"
  local method, target, lines = (head .. "\n"):match "^(%S+) (.-) HTTP/1.1\n(.*)$"
  local headers, host = {}, nil
  for name, value in (lines:gsub("\n([ \t])", "\0%1")):gmatch "([^:\n]+):([^\n]*)\n" do
    value = value:gsub("%z", "\n")
    if name:lower() == "host" then
      host = value
    elseif type(headers[name]) == "table" then
      table.insert(headers[name], value)
    else
      headers[name] = headers[name] and { headers[name], value } or value
    end
  end
  local credentials = context.credentials
  return basic {
    method = method, url = "https://" .. host .. target, body = body, headers = headers,
    access_key = credentials.access_key_id, secret_key = credentials.secret_access_key,
    session_token = not context.omit_session_token and credentials.token or nil,
    region = context.region, service = context.service, normalize = context.normalize,
    signed = { "content-length" },
  }, context, folder
end

local function expected(folder, form, what, token)
  local text = slurp(folder .. form .. "-" .. what .. ".txt"):gsub("%s+$", "")
  if token and what == "canonical-request" then
    local encoded = token:gsub("[^%w%-._~]", function(c) return ("%%%02X"):format(c:byte()) end)
    for _, spelling in ipairs { token, encoded } do
      local from, to = text:find(spelling, 1, true)
      if from then text = text:sub(1, from - 1) .. "***" .. text:sub(to + 1) end
    end
  end
  return text
end

local function compare(signed, form, folder, token)
  assert.equal(expected(folder, form, "canonical-request", token), signed.canonical_request)
  assert.equal(expected(folder, form, "string-to-sign"), signed.string_to_sign)
  assert.equal(expected(folder, form, "signature"), signed.signature)
end

local function check_header_form(case)
  local options, context, folder = read_case(case)
  if context.sign_body then options.headers["x-amz-content-sha256"] = hash.sha256(options.body) end
  local signed = hash.sigv4(options)
  compare(signed, "header", folder, options.session_token)
  local request = expected(folder, "header", "signed-request")
  assert.equal(request:match "Authorization:([^\n]*)", signed.headers.authorization)
  assert.equal(request:match "X%-Amz%-Date:([^\n]*)", signed.headers["x-amz-date"])
end

local function check_query_form(case)
  local options, context, folder = read_case(case)
  options.expires = context.expiration_in_seconds
  local signed = hash.sigv4_presign(options)
  compare(signed, "query", folder, options.session_token)
  if not context.omit_session_token then
    local target = expected(folder, "query", "signed-request"):match "^%S+ (.-) HTTP/1.1"
    assert.equal("https://example.amazonaws.com" .. target, signed.url)
  end
end

describe("hash.sigv4 vectors", function()
  if not lfs.attributes(vectors) then
    pending "skipped: no vectors"
    return
  end
  local cases = 0
  for case in lfs.dir(vectors) do
    if lfs.attributes(vectors .. "/" .. case .. "/request.txt") then
      cases = cases + 1
      it(case .. ", header form", function() check_header_form(case) end)
      it(case .. ", query form", function() check_query_form(case) end)
    end
  end
  it("are all there", function() assert.equal(38, cases) end)
end)

describe("hash.sigv4", function()
  it("signs the example of facts", function()
    local signed = hash.sigv4(basic {
      method = "POST", url = "HTTPS://API.ecr-public.us-east-1.amazonaws.com", body = "{}",
      headers = { ["Content-Type"] = "application/x-amz-json-1.1", ["User-Agent"] = "orch",
        ["X-Amz-Target"] = "SpencerFrontendService.GetAuthorizationToken" },
      service = "ecr-public", session_token = secret.new("TOKEN", "AWS_SESSION_TOKEN"),
      secret_key = secret.new("hunter2", "AWS_SECRET_ACCESS_KEY"),
    })
    assert.matches("SignedHeaders=content%-type;host;x%-amz%-date;x%-amz%-security%-token;x%-amz%-target,",
      signed.headers.authorization)
    assert.equal("api.ecr-public.us-east-1.amazonaws.com", signed.headers.host)
    assert.equal("orch", signed.headers["user-agent"])
    assert.is_true(secret.is(signed.headers["x-amz-security-token"]))
    assert.matches("\nx%-amz%-security%-token:%*%*%*\n", signed.canonical_request)
    for _,
      text in ipairs { signed.canonical_request, signed.string_to_sign,
      signed.headers.authorization } do
      assert.not_matches("hunter2", text)
      assert.not_matches("TOKEN", text)
    end
  end)

  it("says the host as botocore does", function()
    for url, host in pairs {
      ["http://h:80"] = "h", ["http://h:443/"] = "h:443", ["https://h:443/"] = "h",
      ["https://U:p@H:8443?x"] = "h:8443", ["http://[::1]:80/"] = "[::1]",
      ["http://[::1]:5/"] = "[::1]:5",
      ["http://h:/"] = "h", ["http://h:0080/"] = "h", ["http://a@b@c:1#x"] = "c:1",
    } do
      assert.equal(host, hash.sigv4(basic { url = url }).headers.host)
    end
    local signed = hash.sigv4(basic { headers = { Host = "other" } })
    assert.equal("other", signed.headers.host)
    assert.matches("\nhost:other\n", signed.canonical_request)
  end)

  it("gives S3 the payload's hash as a header and leaves the path", function()
    local signed =
      hash.sigv4(basic { s3 = true, url = "https://b.s3.amazonaws.com/a//b/../%20c", body = "x" })
    assert.equal(hash.sha256 "x", signed.headers["x-amz-content-sha256"])
    assert.matches("^GET\n/a//b/%.%./%%20c\n\n", signed.canonical_request)
    signed = hash.sigv4(basic { s3 = true, payload = "UNSIGNED-PAYLOAD" })
    assert.equal("UNSIGNED-PAYLOAD", signed.headers["x-amz-content-sha256"])
    assert.matches("\nUNSIGNED%-PAYLOAD$", signed.canonical_request)
    assert.is_nil(hash.sigv4(basic()).headers["x-amz-content-sha256"])
    signed = hash.sigv4_presign(basic { s3 = true, expires = 60 })
    assert.matches("\nUNSIGNED%-PAYLOAD$", signed.canonical_request)
  end)

  it("keeps what is secret a secret", function()
    local signed = hash.sigv4(basic {
      access_key = secret.new("AKIDSECRET", "AWS_ACCESS_KEY_ID"), body = secret.new("b", "BODY"),
      headers = { ["X-Api-Key"] = secret.new(" hunter2  x ", "API"),
        list = { "a", secret.new("hunter3", "L") } },
    })
    assert.is_true(secret.is(signed.headers.authorization))
    assert.is_true(secret.is(signed.headers["x-api-key"]))
    assert.matches("\nx%-api%-key:%*%*%*\n", signed.canonical_request)
    assert.matches("\nlist:a,%*%*%*\n", signed.canonical_request)
    local plain = hash.sigv4(basic {
      access_key = "AKIDSECRET", body = "b",
      headers = { ["X-Api-Key"] = "hunter2 x", list = "a,hunter3" },
    })
    assert.equal(plain.signature, signed.signature)
    local url = hash.sigv4_presign(basic { expires = 1, session_token = secret.new("TOKEN", "T") })
    assert.is_true(secret.is(url.url))
    assert.not_matches("TOKEN", url.canonical_request)
    assert.is_true(secret.is(hash.sigv4_presign(basic { expires = 1,
      secret_key = secret.new("k", "K") }).url))
  end)

  it("takes an empty session token for none and now for the time", function()
    assert.is_nil(hash.sigv4(basic { session_token = "" }).headers["x-amz-security-token"])
    local options = basic()
    options.time = nil
    assert.equal(os.date "!%Y%m%dT%H", hash.sigv4(options).headers["x-amz-date"]:sub(1, 11))
  end)

  it("unfolds headers", function()
    local signed = hash.sigv4(basic { headers = { a = "x\r\n  y\n\tz" } })
    assert.not_matches("[\r\n]", signed.headers.a)
    assert.matches("\na:x y z\n", signed.canonical_request)
  end)

  it("refuses what would make another request", function()
    refused({ headers = { a = "x\ny" } }, "line end")
    refused({ headers = { a = "x\ry" } }, "line end")
    refused({ headers = { a = "x\0y" } }, "NUL")
    refused({ headers = { a = secret.new("x\ny", "S") } }, "line end")
    refused({ headers = { ["a:b"] = "" } }, "no header name")
    refused({ headers = { a = 1, A = 2 } }, "two spellings")
    refused({ headers = { a = { {} } } }, "header's value must be")
    refused({ headers = { "x" } }, "map names")
    refused({ headers = { Authorization = "x" } }, "set by the signer")
    refused({ headers = { ["X-Amz-Date"] = "x" } }, "set by the signer")
    refused({ method = "GET /" }, "no HTTP method")
    refused({ url = "ftp://x/" }, "does not begin")
    refused({ url = "http:///x" }, "host")
    refused({ url = "http://a b/" }, "host")
    refused({ url = "http://[::1/" }, "host")
    refused({ url = "http://h:99999999/" }, "port")
    refused({ url = "http://h:x/" }, "port")
    refused({ url = "http://h/\n" }, "control")
    refused({ url = "http://h/" .. ("x"):rep(300000) }, "longer")
    refused({ url = secret.new("http://h/", "U") }, "secret")
    refused({ secret_key = "key\n" }, "secret_key")
    refused({ region = "" }, "region")
    refused({ service = "a/b" }, "service")
    refused({ session_token = "a b" }, "session_token")
    refused({ time = 1e15 }, "time")
    refused({ access_key = "a\0b" }, "NUL")
    refused({ payload = "a", headers = { ["x-amz-content-sha256"] = "b" } }, "differ")
    refused({ expires = 3 }, "unknown option 'expires'")
    assert.has_error(function() hash.sigv4_presign(basic()) end)
    assert.has_error(function() hash.sigv4_presign(basic { expires = 700000 }) end)
  end)
end)
