local reference = require "orch.docker.reference"

local DIGEST <const> = "sha256:" .. ("0123456789abcdef"):rep(4)

describe("image reference", function()
  it("is taken apart as docker does", function()
    -- text, host, path, tag, digest
    local cases = {
      { "alpine", "docker.io", "alpine" }, { "alpine:3.19", "docker.io", "alpine", "3.19" },
      { "library/alpine:3", "docker.io", "library/alpine", "3" },
      { "cimg/node:14.16.0", "docker.io", "cimg/node", "14.16.0" },
      { "localhost/app", "localhost", "app" },
      { "localhost:5000/app:1", "localhost:5000", "app", "1" },
      { "public.ecr.aws/a1b2/app:0.1.7", "public.ecr.aws", "a1b2/app", "0.1.7" },
      { "registry:5000/app", "registry:5000", "app" },
      { "127.0.0.1:5000/a/b/c", "127.0.0.1:5000", "a/b/c" },
      { "registry/app", "docker.io", "registry/app" },
      { "app@" .. DIGEST, "docker.io", "app", nil, DIGEST },
      { "x.io/app:1@" .. DIGEST, "x.io", "app", "1", DIGEST },
      { "[::1]:5000/app:1", "[::1]:5000", "app", "1" },
      { "Registry/app", "Registry", "app" },
      { "index.docker.io/app:1", "docker.io", "app", "1" },
      { "app@sha512:" .. ("ab"):rep(64), "docker.io", "app", nil, "sha512:" .. ("ab"):rep(64) },
      { "x.io/a_b-c.d", "x.io", "a_b-c.d" }, { "app:A_b.c-D", "docker.io", "app", "A_b.c-D" },
      { "app:" .. ("t"):rep(128), "docker.io", "app", ("t"):rep(128) },
    }
    for _, case in ipairs(cases) do
      local parsed = reference.parse(case[1])
      assert.same({ case[2], case[3], case[4], case[5] },
        { parsed.host, parsed.path, parsed.tag, parsed.digest }, case[1])
      assert.equal(case[1]:match("^[^@]+"):gsub(":[^:/]+$", ""), parsed.name, case[1])
    end
  end)

  it("is refused where docker refuses it", function()
    for _,
      bad in ipairs { "", "App", "a/B", "app:", ":tag", "app:-x", "app:.x", "app:a b",
      "app:" .. ("t"):rep(129), "/app", "app/",
      "a//b", "x.io/", "-app", "app-", "_app", "app_", "app@", "app@sha256:", "app@sha256:xyz",
      "app@md5:abc", "app@" .. DIGEST .. "@x",
      "a b", "app\n", "é", "x.io/a/.b" } do
      local good, failure = pcall(reference.parse, bad)
      assert.is_false(good, bad)
      assert.equal("usage", failure.kind, bad)
      assert.matches("is no image reference: ", failure.message, 1, true)
    end
  end)

  it("has a whole digest and single separators", function()
    for _,
      bad in ipairs { "app@sha256:abc", "app@" .. DIGEST:upper():gsub("SHA", "sha"),
      "app@" .. DIGEST .. "0", "a..b", "a___b", "a._b", "app@sha512:" .. ("a"):rep(64),
      "x.io/" .. ("a"):rep(251), ("a"):rep(238),
      "x.io:port/app", "x..io/app", "-x.io/app", "a_b.io/app", "a-_b", "a-.b", "[::1/app" } do
      assert.is_false((pcall(reference.parse, bad)), bad)
    end
    for _, good in ipairs { "a__b", "a--b", "a---b", ("a"):rep(237) } do
      assert.equal(good, reference.parse(good).path)
    end
  end)

  it("is one repository in each way to write it", function()
    local ways = { "alpine", "alpine:3", "library/alpine", "docker.io/alpine", "index.docker.io/alpine",
      "docker.io/library/alpine@" .. DIGEST }
    for _, way in ipairs(ways) do
      assert.is_true(reference.same_repository("alpine", way), way)
      assert.equal("alpine", reference.familiar(way))
    end
    for _, other in ipairs { "a/alpine", "x.io/alpine", "alpine2", "", "Alpine" } do
      assert.is_false(reference.same_repository("alpine", other), other)
    end
    assert.is_false(reference.same_repository("", ""))
    assert.equal("me/app", reference.familiar "docker.io/me/app:1")
    assert.equal("x.io:5/library/app", reference.familiar "x.io:5/library/app:1")
  end)
end)
