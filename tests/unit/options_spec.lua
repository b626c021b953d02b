local options = require "orch.options"
local secret = require "orch.secret"

local function hinted(hint, schema, what, given)
  local good, failure = pcall(schema.check, schema, what, given)
  assert.is_false(good, hint)
  assert.equal(hint, failure.hint or "none")
end

local function refused(message, f, ...)
  local good, failure = pcall(f, ...)
  assert.is_false(good, message)
  assert.equal("usage", failure.kind)
  assert.equal(message, failure.message)
end

describe("options", function()
  local schema
  before_each(function()
    schema =
      options.schema({ url = "string", attempts = { "integer", default = 10 },
      body = "string|table?",
      mode = { "string", default = "fast", enum = { "fast", "slow" } },
      tags = { "list", default = {} } }, "url")
  end)

  it("fills in defaults and leaves the rest alone", function()
    local given = { url = "u", body = { a = 1 } }
    local checked = schema:check("http", given)
    assert.same({ url = "u", attempts = 10, body = { a = 1 }, mode = "fast", tags = {} }, checked)
    assert.same({ url = "u", body = { a = 1 } }, given)
  end)

  it("gives each caller a default table of its own", function()
    table.insert(schema:check("http", { url = "u" }).tags, "mine")
    assert.same({}, schema:check("http", { url = "u" }).tags)
  end)

  it("keeps false and empty values that were given", function()
    local own = options.schema { on = { "boolean", default = true },
      text = { "string", default = "x" } }
    assert.same({ on = false, text = "" }, own:check("f", { on = false, text = "" }))
    local off = options.schema { on = { "boolean", default = false } }
    assert.is_false(off:check("f", {}).on)
  end)

  it("accepts what fits a type and refuses the rest", function()
    local cases = {
      string = { { "x", "", secret.new("x", "S") }, { 1, true, {}, print } },
      integer = { { 1, -1, 0, math.maxinteger }, { 1.5, 1.0, "1", 0 / 0, true } },
      number = { { 1, 1.5, -1, 1e300 }, { "1", true, {} } },
      boolean = { { true, false }, { 0, "true", {} } },
      list = { { {}, { 1 }, { "a", "b" } },
        { "a", 1, true, { a = 1 }, { 1, b = 2 }, { 1, nil, 3 } } },
      table = { { {}, { a = 1 }, { 1 } }, { "a", 1, secret.new("x", "S") } },
      ["function"] = { { print, function() end }, { "f", {} } },
      any = { { 1, "x", true, {} }, {} },
    }
    for name, case in pairs(cases) do
      local own = options.schema { x = name }
      for _, value in ipairs(case[1]) do assert.equal(value, own:check("f", { x = value }).x) end
      for _, value in ipairs(case[2]) do
        local good, failure = pcall(own.check, own, "f", { x = value })
        assert.is_false(good, name .. " " .. tostring(value))
        assert.equal("usage", failure.kind)
      end
    end
  end)

  it("shows the value in the form that is taken", function()
    local own = options.schema { t = "table?", s = "string?", i = "integer?",
      n = "number?", b = "boolean?", p = "secret?", paths = "list?" }
    for hint, given in pairs {
      ['paths = { "x" }'] = { paths = "x" }, ['s = "3"'] = { s = 3 }, ["i = 80"] = { i = "80" },
      ["n = 1.5"] = { n = "1.5" }, ["b = true"] = { b = "yes" }, ["b = false"] = { b = "off" } } do
      hinted(hint, own, "f", given)
    end
    for _, given in ipairs { { i = "1.5" }, { i = "x" }, { b = "x" }, { s = {} }, { t = "x" },
      { paths = ("x"):rep(100) }, { paths = "a\nb" }, { paths = secret.new("x", "S") },
      { p = "in the clear" } } do
      hinted("none", own, "f", given)
    end
  end)

  it("shows where bare values may belong", function()
    local own = options.schema { path = "string", text = "string", times = "integer?" }
    hinted('job:write { path = "x", text = … }', own, "write", "x")
    hinted('job:write { path = "x", text = "y" }', own, "write", { "x", "y" })
    hinted("none", own, "write", { "x", "y", "z" })
    hinted("none", own, "write", true)
    hinted('orch.job { name = "x" }', options.schema { name = "string" }, "orch.job", "x")
    hinted("none", options.schema { password = "secret" }, "docker_login", { "in the clear" })
  end)

  it("shows no address of a table or function", function()
    refused("f: option 's' must be a string, got table", function()
      options.schema({ s = "string" }):check("f", { s = {} })
    end)
  end)

  it("says what is wrong in one sentence", function()
    refused("http: option 'url' is missing (a string)", schema.check, schema, "http", {})
    refused("http: option 'attempts' must be a whole number, got string 'many'", schema.check,
      schema, "http",
      { url = "u", attempts = "many" })
    refused("http: option 'body' must be a string or a table, got boolean 'true'", schema.check,
      schema, "http",
      { url = "u", body = true })
    refused("http: 'mode' must be one of fast, slow, got 'quick'", schema.check, schema, "http",
      { url = "u", mode = "quick" })
    refused("http: unknown option 'atempts'; did you mean 'attempts'? (known: attempts, body, mode, tags, url)",
      schema.check, schema, "http", { url = "u", atempts = 1 })
    refused("f: expected a table of options, got string", function()
      options.schema({}):check("f", "x")
    end)
    refused("f: a string stands without a name (known: y)", function()
      options.schema({ y = "any?" }):check("f", { "x" })
    end)
    refused("f: option 'x' must be a string, got number '7'", function()
      options.schema({ x = "string" }):check("f", { x = 7 })
    end)
  end)

  it("never shows a secret", function()
    local _, failure = pcall(schema.check, schema, "http",
      { url = "u", attempts = secret.new("hunter2", "S") })
    assert.not_matches("hunter2", failure.message)
  end)

  it("lets a bare value or the list part stand for one option", function()
    assert.equal("u", schema:check("http", "u").url)
    assert.equal("u", schema:check("http", { "u" }).url)
    assert.same({ "u", 3 },
      { schema:check("http", { "u", attempts = 3 }).url,
      schema:check("http", { "u", attempts = 3 }).attempts })
    local command = options.schema({ command = "string|list" }, "command")
    assert.equal("make", command:check("run", { "make" }).command)
    assert.same({ "make", "test" }, command:check("run", { "make", "test" }).command)
    local password = secret.new("x", "S")
    assert.equal(password, command:check("run", password).command)
  end)

  it("refuses a list that names an option twice or has holes", function()
    refused("http: option 'url' is given twice", schema.check, schema, "http", { "u", url = "v" })
    local command = options.schema({ command = "string|list" }, "command")
    assert.is_false((pcall(command.check, command, "run", { "make", nil, "test" })))
  end)

  it("needs no table when nothing is needed", function()
    assert.same({ x = 1 }, options.schema({ x = { "integer", default = 1 } }):check("f", nil))
  end)

  it("keeps to the rules of a declaration", function()
    local own = options.schema { n = { "integer", default = 5, min = 1, max = 9 },
      v = { "string?", pattern = "%d+%.%d+" } }
    assert.same({ n = 1, v = "1.20" }, own:check("f", { n = 1, v = "1.20" }))
    refused("f: 'n' must be at least 1, got '0'", own.check, own, "f", { n = 0 })
    refused("f: 'n' must be at most 9, got '10'", own.check, own, "f", { n = 10 })
    refused("f: 'v' must be like the pattern %d+%.%d+, got 'v1.2'", own.check, own, "f",
      { v = "v1.2" })
    refused("f: 'v' must be like the pattern %d+%.%d+, got '1.2x'", own.check, own, "f",
      { v = "1.2x" })
    local anchored = options.schema { v = { "string", pattern = "^%d+$" },
      price = { "string?", pattern = "%d+%$" } }
    assert.same({ v = "12", price = "3$" }, anchored:check("f", { v = "12", price = "3$" }))
    refused("f: 'v' must be like the pattern ^%d+$, got '1x'", anchored.check, anchored, "f",
      { v = "1x" })
  end)

  it("takes values that only a run can tell, where a plan has them", function()
    local unknown = require "orch.unknown"
    local own = options.schema { s = "string", i = "integer", n = "number", b = "boolean",
      l = "list", t = "table", x = "any" }
    local given = {}
    for _, name in ipairs(own.names) do given[name] = unknown.new(name) end
    assert.equal(given.l, own:check("f", given).l)
  end)

  it("reads texts of a command line", function()
    local own = options.schema { n = "integer?", x = "number?", on = "boolean?", list = "list?",
      text = "string?" }
    local cases = { { "n", "-7", -7 }, { "x", "1.5", 1.5 }, { "list", "a,b", { "a", "b" } },
      { "list", "", {} }, { "text", "7", "7" },
      { "on", "true", true }, { "on", "1", true }, { "on", "Yes", true }, { "on", "ON", true },
      { "on", "false", false },
      { "on", "no", false }, { "on", "off", false }, { "on", "0", false } }
    for _, case in ipairs(cases) do
      assert.same(case[3], own:from_text("orch run", case[1], case[2]))
    end
    refused("orch run: 'n' must be a whole number, got '1.5'", own.from_text, own, "orch run", "n",
      "1.5")
    refused("orch run: 'x' must be a number, got 'x'", own.from_text, own, "orch run", "x", "x")
    refused("orch run: 'on' must be true or false, got 'perhaps'", own.from_text, own, "orch run",
      "on", "perhaps")
  end)

  it("refuses declarations that say nothing", function()
    refused("option 'x': unknown type 'strng'; did you mean 'string'? (known: any, boolean, enum, function, integer, list, number, "
      .. "secret, string, table)", options.schema, { x = "strng" })
    refused("option 'x' must begin with its type, as in { \"string\", default = … }", options.schema, { x = { default = 1 } })
    refused("option 'x' must begin with its type, as in { \"string\", default = … }", options.schema, { x = true })
  end)
end)
