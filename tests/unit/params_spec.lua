local fs = require "orch.fs"
local options = require "orch.options"
local params = require "orch.params"

local function schema(declared) return options.schema(declared) end

local function refused(pattern, ...)
  local good, failure = pcall(params.resolve, ...)
  assert.is_false(good)
  assert.equal("usage", failure.kind, failure.message)
  assert.matches(pattern, failure.message)
end

describe("params", function()
  local dir, file
  before_each(function() dir = assert(fs.make_temp("/tmp/orch-spec-")) file = dir .. "/p.json" end)
  after_each(function() assert(fs.remove(dir)) end)

  local function write(text) assert(fs.write(file, text)) return file end

  it("takes the command line before the file, and that before the default", function()
    local declared = schema { a = { "string", default = "d" }, b = { "string", default = "d" },
      c = { "string", default = "d" } }
    assert.same({ a = "line", b = "file", c = "d" },
      params.resolve(declared, { a = "line" }, write [[{ "a": "file", "b": "file" }]]))
  end)

  it("reads texts as what is declared", function()
    local declared = schema { i = "integer", n = "number", b = "boolean", l = "list", s = "string" }
    assert.same({ i = 3, n = 1.5, b = false, l = { "x", "y" }, s = "007" },
      params.resolve(declared, { i = "3", n = "1.5", b = "off", l = "x,y", s = "007" }))
    refused("'i' must be a whole number, got '3.5'", schema { i = "integer" }, { i = "3.5" })
    refused("'b' must be true or false, got 'maybe'", schema { b = "boolean" }, { b = "maybe" })
    refused("'n' must be a number, got ''", schema { n = "number" }, { n = "" })
  end)

  it("checks a file's values, and does not convert them", function()
    assert.same({ i = 3, l = { "x" } },
      params.resolve(schema { i = "integer", l = "list" }, {}, write [[{ "i": 3, "l": ["x"] }]]))
    refused("'i' must be a whole number, got string '3'", schema { i = "integer" }, {},
      write [[{ "i": "3" }]])
    refused("p.json: unknown parameter 'ii'; did you mean 'i'%?", schema { i = "integer" }, {},
      write [[{ "ii": 3 }]])
    refused("p.json: .*invalid JSON", schema {}, {}, write "{")
    refused("p.json: expected an object", schema {}, {}, write "3")
    refused("p.json: expected an object", schema {}, {}, write "[1]")
    local good, failure = pcall(params.resolve, schema {}, {}, dir .. "/none.json")
    assert.same({ false, "missing" }, { good, failure.kind })
  end)

  it("knows rules", function()
    local declared = schema { stage = { "string", default = "test", enum = { "test", "live" } },
      count = { "integer", default = 2, min = 1, max = 5 },
      version = { "string", default = "1.0", pattern = "%d+%.%d+" } }
    assert.same({ stage = "live", count = 5, version = "2.10" },
      params.resolve(declared, { stage = "live", count = "5", version = "2.10" }))
    refused("'stage' must be one of test, live, got 'prod'", declared, { stage = "prod" })
    refused("'count' must be at least 1, got '0'", declared, { count = "0" })
    refused("'count' must be at most 5, got '6'", declared, { count = "6" })
    refused("'version' must be like the pattern .*, got 'v2.1'", declared, { version = "v2.1" })
    refused("'version' must be like the pattern .*, got '2.1rc'", declared, { version = "2.1rc" })
  end)

  it("are one of some values", function()
    local declared = schema { stage = { "enum", enum = { "test", "live" }, default = "test" },
      size = { "enum", enum = { 1, 2 } } }
    assert.same({ stage = "live", size = 2 },
      params.resolve(declared, { stage = "live", size = "2" }))
    refused("'stage' must be one of test, live, got 'prod'", declared,
      { stage = "prod", size = "1" })
    refused("'size' must be one of 1, 2, got '3'", declared, { size = "3" })
    refused("p.json: 'stage' must be one of test, live, got 'prod'", declared, { size = "1" },
      write '{ "stage": "prod" }')
    assert.matches("size +enum +one of 1, 2; required", params.describe(declared)[1])
  end)

  it("needs what has no default, and lets go what is optional", function()
    refused("the recipe needs the parameters 'a' %(string%), 'b' %(integer%)",
      schema { a = "string", b = "integer" }, {})
    assert.same({}, params.resolve(schema { a = "string?" }, {}))
    refused("unknown parameter 'stgae'; did you mean 'stage'%? %(known: stage%)",
      schema { stage = "string?" }, { stgae = "x" })
  end)

  it("takes names that can be given, and no others", function()
    local job = require("orch.job").define { name = "a", run = print }
    local define = require("orch.pipeline").define
    assert.has_error(function() define { job, params = { ["a b"] = "string" } } end)
    assert.has_error(function() define { job, params = { ["a=b"] = "string" } } end)
    assert.same({ ["my-name"] = "x" },
      params.resolve(define({ job, params = { ["my-name"] = "string" } }).params,
      { ["my-name"] = "x" }))
  end)

  it("refuses a declaration that contradicts itself", function()
    for _,
      bad in ipairs { { "integer", default = "x" }, { "string", default = "x", enum = { "a" } },
      { "integer", default = 0, min = 1 }, { "strin" }, { "integer", defualt = 1 }, { "enum" },
      { "enum", enum = "a" },
      { "string", min = 1 }, { "integer", max = "x" }, { "string", pattern = "[" },
      { "enum", enum = { "a" }, default = "b" } } do
      assert.has_error(function() schema { a = bad } end)
    end
  end)

  it("describes them", function()
    assert.same({ "  count            integer   at least 1; at most 5; default 2",
      "  stage            string    one of a, b; required\n                            where it goes",
      "  tags             list      default x,y" },
      params.describe(schema { count = { "integer", default = 2, min = 1, max = 5 },
        stage = { "string", enum = { "a", "b" }, doc = "where it goes" },
        tags = { "list", default = { "x", "y" } } }))
  end)
end)
