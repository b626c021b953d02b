-- What the README shows is run: its recipes are checked and planned, its verb is called, its
-- commands are looked for.
local fs = require "orch.fs"
local json = require "orch.json"
local proc = require "orch.proc"
local sources = require "tidy.sources"
local support = require "e2e.support"

-- The fenced blocks of each language, each { line, text, after }, and all that stands between them.
local function read()
  local blocks, prose, block, last = { lua = {}, sh = {} }, {}, nil, nil
  for number, line in ipairs(sources.lines_of("README.md")) do
    local language = line:match("^```(.*)$")
    if language and not block then
      block = { line = number, text = "", after = "" }
      table.insert(blocks[language], block)
    elseif language then
      last, block = block, nil
    elseif block then
      block.text = block.text .. line .. "\n"
    else
      prose[#prose + 1] = line
      if last then last.after = last.after .. line .. "\n" end
    end
  end
  return blocks, table.concat(prose, "\n")
end

local blocks, prose = read()

local function run(argv)
  local result = assert(proc.run { argv = argv })
  assert(result.code == 0, table.concat(argv, " ") .. ": " .. result.stdout)
  return result.stdout
end

-- How the commands that the README names are tried: each gets its words.
local CHECK <const> = {}

function CHECK.sh(script) run { "sh", "-n", script } end

function CHECK.cmake(option, preset, name)
  if option == "--install" then return end
  local kind = option == "--build" and "buildPresets" or "configurePresets"
  for _, each in ipairs(json.decode(assert(fs.read("CMakePresets.json")))[kind]) do
    if each.name == (name or preset) then return end
  end
  error(("CMakePresets.json has none of %s named %s"):format(kind, name or preset))
end

function CHECK.orch(command, ...)
  local help = run { support.orch, "help", command }
  for _, word in ipairs { ... } do
    local option = word:match("^%-[%w-]+")
    assert(not option or help:find(option, 1, true), ("orch %s has no %s"):format(command, option))
  end
end

-- Tries each command of a shell line; false when it has none that is known.
local function try(line)
  local tried = false
  for command in (line:gsub("%s*#.*", "") .. " && "):gmatch("(.-) && ") do
    local words = {}
    for word in command:gmatch("%S+") do words[#words + 1] = word end
    local check = words[2] and CHECK[words[1]]
    if check then check(table.unpack(words, 2)) end
    tried = tried or check ~= nil
  end
  return tried
end

describe("the README", function()
  local scratch
  before_each(function() scratch = support.scratch() end)
  after_each(function() scratch:remove() end)

  local verb
  for _, block in ipairs(blocks.lua) do
    if block.text:find("orch.verb", 1, true) then
      verb = block
    elseif block.text:find("t:run", 1, true) then
      it("has a test that the recipe of its name passes", function()
        scratch:write(block.text:match('t:run%("([^"]+)"'), blocks.lua[1].text)
        scratch:write("readme_test.lua", block.text)
        local result = scratch:orch { "test", scratch.dir }
        assert.equal(0, result.code, result.all)
        assert.matches("1 passed", result.out)
      end)
    else
      it(("has a recipe in line %d that can be checked and planned"):format(block.line), function()
        local files = { ["recipe.lua"] = block.text, Dockerfile = "FROM scratch\n" }
        local project = scratch:project(files)
        local checked = scratch:orch { "check", project .. "/recipe.lua" }
        assert.equal(0, checked.code, checked.all)
        local value = block.after:match("`orch run %S+ ([%w_]+=[^`]+)`")
        local planned = scratch:orch { "plan", project .. "/recipe.lua", value }
        assert.equal(0, planned.code, planned.all)
        for _, pattern in ipairs { "orch%.job {%s+name%s+= \"([^\"]+)\"", "job:([%w_]+)" } do
          for name in block.text:gmatch(pattern) do
            assert.truthy(planned.out:find(name, 1, true), name .. " is not in\n" .. planned.out)
          end
        end
      end)
    end
  end

  it("has a verb, and a call of it that does what it says", function()
    local server = assert(proc.start { cwd = scratch.dir,
      argv = { "python3", "-u", "-m", "http.server", "--bind", "127.0.0.1", "0" } })
    local port = assert(server:read():match(" port (%d+)"))
    scratch:write("verbs/" .. verb.text:match("^%-%- ([%w_]+)") .. ".lua", verb.text)
    local call, found = assert(prose:match("`(job:[%w_]+ {[^`]*})` calls it"))
      :gsub("localhost:8080", "127.0.0.1:" .. port)
    assert.equal(1, found)
    local good = scratch:recipe(call)
    local bad = scratch:recipe((call:gsub("/\" }", "/nothing\", attempts = 1 }")))
    server:cancel()
    server:wait()
    assert.equal(0, good.code, good.all)
    assert.equal(1, bad.code, bad.all)
    assert.matches("/nothing never answered 200", bad.err, 1, true)
  end)

  it("has commands that there are", function()
    for _, block in ipairs(blocks.sh) do
      for line in block.text:gmatch("[^\n]+") do assert(try(line), line) end
    end
    local tried = 0
    for quote in prose:gmatch("`([^`\n]+)`") do tried = tried + (try(quote) and 1 or 0) end
    assert.truthy(tried > 10)
  end)

  it("lists every verb, and links to files that there are", function()
    local listed = {}
    for row in prose:gmatch("\n| (`[%w_` ]+`) |") do
      for name in row:gmatch("[%w_]+") do listed[name] = true end
    end
    for name in ("\n" .. run { support.orch, "verbs" }):gmatch("\n([%w_]+)") do
      assert(listed[name], name)
    end
    for path in prose:gmatch("%]%(([^)#]+)%)") do assert(fs.stat(path), path) end
  end)
end)
