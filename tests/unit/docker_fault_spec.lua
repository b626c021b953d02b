local fault = require "orch.docker.fault"

local IMAGE <const> = "127.0.0.1:5000/team/denied:1"

local function of(message) return fault.of("docker push", IMAGE, message) end

describe("a registry's fault", function()
  it("is passing when it may go better another time", function()
    for _, message in ipairs {
      "received unexpected HTTP status: 500 Internal Server Error",
      "received unexpected HTTP status: 503 Service Unavailable",
      "error parsing HTTP 502 response body: invalid character '<' looking for beginning of value",
      "unexpected status from PUT request to http://r/v2/x/manifests/1: 500 Internal Server Error",
      "error parsing HTTP 429 response body: unexpected end of JSON input: \"\"",
      "toomanyrequests: Rate exceeded", "unavailable: service unavailable",
      'Put "http://r/v2/": read tcp 127.0.0.1:1->127.0.0.1:2: read: connection reset by peer',
      'Get "http://r/v2/": EOF', "unexpected EOF",
      'Get "http://r/v2/": dial tcp 127.0.0.1:1: connect: connection refused',
      "net/http: TLS handshake timeout", "http: server closed idle connection",
      "net/http: request canceled (Client.Timeout exceeded while awaiting headers)",
    } do
      assert.is_true(of(message).passing, message)
    end
  end)

  it("is final when it is a no", function()
    for message, kind in pairs {
      ["unauthorized: authentication required"] = "auth", ["no basic auth credentials"] = "auth",
      ["denied: requested access to the resource is denied"] = "auth",
      ["error parsing HTTP 403 response body: invalid character '<'"] = "auth",
      ["login attempt to http://r/v2/ failed with status: 401 Unauthorized"] = "auth",
      ["name unknown: The repository with name 'x' does not exist"] = "missing",
      ["manifest for r/x:1 not found: manifest unknown: manifest unknown"] = "missing",
      ["tag does not exist: " .. IMAGE] = "missing",
      -- as daemons from 23 on, and those with containerd's store, say it
      ['unknown: {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "no such tag"}]}'] = "missing",
      ["error from registry: The repository with name 'x' does not exist in the registry with id '1'"] =
        "missing",
      ["error from registry: requested access to the resource is denied"] = "auth",
      ["image with reference r/x:1 was found but does not match the specified platform: wanted linux/s390x"] =
        "missing",
      ["An image does not exist locally with the tag: 127.0.0.1:5000/team/denied"] = "missing",
      ["tag invalid: The image tag '1' already exists and cannot be overwritten"] = "conflict",
      ["cannot push a digest reference"] = "usage",
      ['Get "https://r/v2/": x509: certificate signed by unknown authority'] = "net",
      ['Get "https://r/v2/": http: server gave HTTP response to HTTPS client'] = "net",
      ['Get "https://r/v2/": dial tcp: lookup r: no such host'] = "net",
      ["received unexpected HTTP status: 405 Method Not Allowed"] = "remote",
      ["something nobody has seen"] = "remote",
    } do
      local failure = of(message)
      assert.equal(kind, failure.kind, message)
      assert.is_false(failure.passing, message)
      assert.equal("docker push " .. IMAGE .. ": " .. message, failure.message)
    end
  end)

  it("of its certificate is told by what is wrong with that", function()
    local function hint(words, name)
      return fault.of("docker pull", name or "r.example:5000/x:1", words).hint
    end
    local unknown <const> = "x509: certificate signed by unknown authority"
    assert.matches("/etc/docker/certs.d/r.example:5000/ca.crt", hint(unknown), 1, true)
    assert.matches("certs.d/r.example:5000/", hint(unknown, "r.example:5000"), 1, true)
    assert.matches("certs.d/docker.io/", hint(unknown, "busybox:1.36"), 1, true)
    for words, wanted in pairs {
      ["x509: certificate has expired or is not yet valid: current time …"] =
        "r.example:5000 needs a new certificate",
      ["x509: certificate is valid for a.example, not r.example"] = "made for the name",
      ["x509: cannot validate certificate for 10.0.0.1 because it doesn't contain any IP SANs"] =
        "made for the name",
      ["tls: first record does not look like a TLS handshake"] = "insecure-registries",
      ["http: server gave HTTP response to HTTPS client"] = "insecure-registries",
    } do assert.matches(wanted, hint(words), 1, true) end
  end)

  it("says of an image that is not here how to make it", function()
    local failure = of("An image does not exist locally with the tag: 127.0.0.1:5000/team/denied")
    assert.same({ "missing", false }, { failure.kind, failure.passing })
    assert.matches("make it first", failure.hint)
  end)

  it("of an answer that is another than was asked for tells what came", function()
    for words, case in pairs { -- of dockerd 20.10 behind a registry that garbles
      ["error pulling image configuration: image config verification failed for digest sha256:b4eb"] =
        { "remote", false, "not what its digest says" },
      ['failed commit on ref "config-sha256:b4eb": "config-sha256:b4eb" failed size validation: 49999 != 651: failed '
        .. "precondition"] = { "remote", false, "not what its digest says" },
      ['failed commit on ref "manifest-sha256:cb83": unexpected commit digest sha256:bafe, expected sha256:cb83'] =
        { "remote", false, "not what its digest says" },
      ["error unmarshalling content: invalid character '<' looking for beginning of value"] =
        { "remote", false, "a page for people" },
      ["failed to copy: httpReadSeeker: failed open: could not fetch content descriptor sha256:23f9 (text/html) from "
        .. "remote: not found"] = { "remote", false, "a page for people" },
      ["error pulling image configuration: download failed after attempts=1: unknown blob"] =
        { "missing", false, "is the name right" },
    } do
      local failure = of(words)
      assert.equal(case[1], failure.kind, words)
      assert.equal(case[2], failure.passing, words)
      assert.matches(case[3], failure.hint, 1, true)
    end
  end)

  it("reads nothing into the image's own name", function()
    assert.equal("remote", of(IMAGE .. ": something else").kind)
  end)

  it("knows how long to wait, and what is too long", function()
    assert.equal(7, of("toomanyrequests: slow down, retry after 7").retry_after)
    assert.equal(3, of("toomanyrequests: Retry-After: 3").retry_after)
    local long = of("toomanyrequests: try again in 3600 s")
    assert.is_false(long.passing)
    assert.matches("3600 s", long.hint)
  end)

  it("of the daemon's own answer keeps the daemon's kind", function()
    local failure = { kind = "remote", status = 500,
      message = "docker pull x: Get \"http://r/v2/\": unauthorized: no" }
    assert.equal("auth", fault.of_request("docker pull", "x", failure).kind)
    failure = { kind = "missing", status = 404, message = "docker pull x: no words for it" }
    assert.equal("missing", fault.of_request("docker pull", "x", failure).kind)
    failure = { kind = "net", message = "docker pull x: the connection broke" }
    assert.is_true(fault.of_request("docker pull", "x", failure).passing)
    failure = { kind = "cancelled", message = "cancelled" }
    assert.is_false(fault.of_request("docker pull", "x", failure).passing)
  end)

  it("is tried again a few times, with what the last one said", function()
    local calls, lines, job = 0, {}, {}
    function job.log(_, ...) lines[#lines + 1] = string.format(...) end
    local function passing(seconds)
      return { kind = "remote", passing = true, retry_after = seconds, message = "fault " .. calls }
    end
    assert.equal("good", fault.retrying(job, function()
      calls = calls + 1
      if calls < 2 then return nil, passing() end
      return "good"
    end))
    assert.equal(1, #lines)
    assert.matches("^fault 1; trying again in 0%.%d s$", lines[1])
    assert.is_false(fault.retrying(job, function() return false end))
    local final = { kind = "auth", message = "no" }
    local good, failure = pcall(fault.retrying, job, function() return nil, final end)
    assert.is_false(good)
    assert.equal(final, failure)
  end)
end)
