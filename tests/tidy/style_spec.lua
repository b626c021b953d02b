-- Rules of style that a machine can see. There is no list of exceptions.
package.path = "tests/tidy/?.lua;" .. package.path
local fs = require "orch.fs"
local sources = require "sources"

local COLUMNS <const> = 100

local function all(...)
  local files = {}
  for _, place in ipairs { ... } do
    local found = sources.below(place[1], place[2])
    table.move(found, 1, #found, #files + 1, files)
  end
  return files
end

local c_files = all({ "engine", ".c" }, { "engine", ".h" })
local lua_files = all({ "lua", ".lua" }, { "tests", ".lua" }, { "recipes", ".lua" },
  { "examples", ".lua" })

-- Fails with the places where a rule is not kept.
local function kept(found) assert.same({}, found) end

local function longer_than(files, limit)
  local found = {}
  for _, file in ipairs(files) do
    local count = #sources.lines_of(file)
    if count > limit then found[#found + 1] = ("%s: %d lines"):format(file, count) end
  end
  return found
end

-- Functions of C by their first and last lines: in our layout a body's braces stand in the first
-- column.
local function long_functions(limit)
  local found = {}
  for _, file in ipairs(c_files) do
    local name, from
    for i, line in ipairs(sources.lines_of(file)) do
      if line:find("^%a.*%(") and not line:find(";%s*$") then name = line:match("([%w_]+)%(") end
      if line == "{" then from = i end
      if line == "}" and from then
        if i - from - 1 > limit then
          found[#found + 1] = ("%s:%d: %s has %d lines"):format(file, from, name, i - from - 1)
        end
        from = nil
      end
    end
  end
  return found
end

describe("style", function()
  it("calls nothing that cannot be used safely", function()
    local found = {}
    for _, file in ipairs(c_files) do
      local code = sources.code_of(assert(fs.read(file)))
      for _,
        name in ipairs { "strcpy", "strcat", "sprintf", "vsprintf", "strtok", "gets", "atoi",
        "atol", "system", "popen",
        "alloca" } do
        if code:find("%f[%w_]" .. name .. "%s*%(") then found[#found + 1] = file .. ": " .. name end
      end
    end
    kept(found)
  end)

  it("sees calls, not words in comments and strings", function()
    local code =
      sources.code_of('a(); /* gets( */ b("atoi(\\"", \'"\'); // system(\nc / d; strcpy(x);')
    assert.is_nil(code:find("gets", 1, true) or code:find("atoi", 1, true)
      or code:find("system", 1, true))
    assert.truthy(code:find("strcpy(x);", 1, true))
    assert.truthy(code:find("c / d", 1, true))
    assert.equal(1, select(2, code:gsub("\n", "")))
  end)

  it("leaves no work marked as undone", function()
    local found = {}
    for _,
      file in ipairs(all({ "engine", ".c" }, { "engine", ".h" }, { "lua", ".lua" },
      { "recipes", ".lua" }, { "examples", ".lua" })) do
      for i, line in ipairs(sources.lines_of(file)) do
        for _, word in ipairs { "TODO", "FIXME", "XXX" } do
          if line:find("%f[%w]" .. word .. "%f[%W]") then
            found[#found + 1] = ("%s:%d"):format(file, i)
          end
        end
      end
    end
    kept(found)
  end)

  it("ends lines and files as text does", function()
    local found = {}
    for _,
      file in ipairs(all({ "engine", ".c" }, { "engine", ".h" }, { "lua", ".lua" },
      { "tests", ".lua" }, { "recipes", ".lua" })) do
      local text = assert(fs.read(file))
      if text:sub(-1) ~= "\n" then found[#found + 1] = file .. ": no end of line at its end" end
      if not utf8.len(text) then found[#found + 1] = file .. ": is no UTF-8" end
      for i, line in ipairs(sources.lines_of(file)) do
        if line:find("[ \t\r]$") then
          found[#found + 1] = ("%s:%d: white space at the end"):format(file, i)
        end
        if line:find("^ *\t") then found[#found + 1] = ("%s:%d: a tab"):format(file, i) end
      end
    end
    kept(found)
  end)

  it("guards every header", function()
    for _, file in ipairs(sources.below("engine", ".h")) do
      local text = assert(fs.read(file))
      local guard = assert(text:match("\n#ifndef ([%u%d_]+)\n"), file)
      assert.matches("\n#ifndef " .. guard .. "\n#define " .. guard .. "\n", text, 1, true)
      assert.matches("^/%*", text, file)
    end
  end)

  it("begins every module with what it is for", function()
    for _, file in ipairs(sources.below("lua", ".lua")) do
      assert.matches("^%-%-%-?.", sources.lines_of(file)[1], file)
    end
  end)

  it("keeps headers under 120 lines and Lua under 300", function()
    kept(longer_than(sources.below("engine", ".h"), 120))
    local written = {}
    for _, file in ipairs(sources.below("lua", ".lua")) do
      -- `orch verbs --stub` writes it
      if file ~= "lua/orch/meta/verbs.lua" then written[#written + 1] = file end
    end
    kept(longer_than(written, 300))
  end)

  it("keeps C under 400 lines", function()
    kept(longer_than(sources.below("engine", ".c"), 400))
  end)

  it("keeps specs under 300 lines", function()
    kept(longer_than(sources.below("tests", ".lua"), 300))
  end)

  it("keeps functions of C under 60 lines", function() kept(long_functions(60)) end)

  -- A message stays in one piece, for who looks for it; so does what an editor reads as one line.
  it("keeps lines under 100 columns, but for what strings and annotations say", function()
    local found = {}
    for _, files in ipairs { c_files, lua_files } do
      for _, file in ipairs(files) do
        for i, line in ipairs(sources.split(sources.without_texts(assert(fs.read(file))))) do
          local columns = utf8.len(line) or #line
          if columns > COLUMNS and not line:find("^%s*%-%-%-[@|]") then
            found[#found + 1] = ("%s:%d: %d columns"):format(file, i, columns)
          end
        end
      end
    end
    kept(found)
  end)
end)
