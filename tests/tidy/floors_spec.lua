-- Who looks at whom: design.md's floors, read from the #include and require lines.
local fs = require "orch.fs"
package.path = "tests/tidy/?.lua;" .. package.path
local sources = require "sources"

local FLOOR <const> = { base = 1, shim = 2, loop = 2, prim = 3, bind = 4, main = 5 }

-- A header that is no system's and none of ours tells of its library, by the name in the README's
-- table.
local LIBRARY_OF <const> = {
  { "^uv%.h$", "libuv" }, { "^lua%.h$", "Lua" }, { "^lauxlib%.h$", "Lua" },
  { "^lualib%.h$", "Lua" }, { "^curl/", "libcurl" },
  { "^openssl/ssl%.h$", "libssl" }, { "^openssl/", "libcrypto" },
  { "^jansson%.h$", "jansson" }, { "^sqlite3%.h$", "SQLite" }, { "^archive", "libarchive" },
  { "^zstd", "libzstd" }, { "^git2", "libgit2" }, { "^nghttp2/", "libnghttp2" },
  { "^yaml%.h$", "libyaml" },
  { "^expat%.h$", "expat" }, { "^pcre2", "PCRE2" }, { "^zlib%.h$", "zlib" },
}

local function c_files()
  local files = sources.below("engine", ".c")
  return table.move(sources.below("engine", ".h"), 1, #sources.below("engine", ".h"), #files + 1,
    files)
end

local function includes(file)
  local found = {}
  for _, line in ipairs(sources.lines_of(file)) do
    local own = line:match('^%s*#%s*include%s+"([^"]+)"')
    local foreign = line:match("^%s*#%s*include%s+<([^>]+)>")
    if own or foreign then found[#found + 1] = { own = own, foreign = foreign } end
  end
  return found
end

local function floor_of(file) return FLOOR[file:match("^engine/(%w+)/") or "main"] end

local function part_of(file) return file:match("^engine/(%w+)[/.]") end

-- { library = { patterns of files } } from the two-column table of engine/README.md.
local function homes()
  local found = {}
  for line in assert(fs.read("engine/README.md")):gmatch("[^\n]+") do
    local cells = {}
    for cell in line:gmatch("|([^|]*)") do cells[#cells + 1] = cell:match("^%s*(.-)%s*$") end
    for i = 1, #cells - 1 do
      local patterns = {}
      for place in cells[i + 1]:gmatch("`([^`]+)`") do
        if place:find("%.c$") or place:find("/$") then
          local pattern = place:gsub("[%.%-]", "%%%0"):gsub("%*", ".*")
          patterns[#patterns + 1] = "^engine/" .. pattern .. (place:find("/$") and "" or "$")
        end
      end
      if #patterns > 0 and cells[i] ~= "" and not cells[i]:find("`") then
        for library in cells[i]:gmatch("[^,]+") do
          found[library:match("^%s*(.-)%s*$")] = patterns
        end
      end
    end
  end
  return found
end

describe("floors of the engine", function()
  it("include their own or a lower one", function()
    local seen = 0
    for _, file in ipairs(c_files()) do
      for _, include in ipairs(includes(file)) do
        local target = include.own and include.own:match("^(%w+)/")
        if include.own then
          assert.truthy(FLOOR[target or "none"],
            ("%s includes \"%s\", which is on no floor"):format(file, include.own))
          seen = seen + 1
        end
        if part_of(file) == "embed" then
          assert.is_nil(include.own, file .. " stands alone")
        elseif target and (part_of(file) == "shim" or target == "shim") then
          assert.is_true(part_of(file) == "shim" and (target == "shim" or target == "base"),
            ("%s includes %s; the shim stands on base alone, and nothing on the shim"):format(file,
              include.own))
        elseif target then
          assert.is_true(FLOOR[target] <= floor_of(file),
            ("%s includes %s"):format(file, include.own))
        end
      end
    end
    assert.is_true(seen > 50)
  end)

  it("include only what is there, own header first", function()
    for _, file in ipairs(c_files()) do
      local found = includes(file)
      for _, include in ipairs(found) do
        if include.own then
          assert.truthy(fs.stat("engine/" .. include.own), file .. ": " .. include.own)
        end
      end
      local own = file:match("^engine/(.*)%.c$")
      if own and fs.stat("engine/" .. own .. ".h") then
        assert.equal(own .. ".h", found[1].own, file)
      end
    end
  end)

  it("have every foreign library at its home", function()
    local home = homes()
    for _,
      library in ipairs { "libuv", "Lua", "libcurl", "jansson", "libcrypto", "SQLite", "libarchive",
      "libgit2" } do
      assert.is_table(home[library], library .. " is not in the table of engine/README.md")
    end
    local used = {}
    for _, file in ipairs(c_files()) do
      for _, include in ipairs(includes(file)) do
        for _, each in ipairs(LIBRARY_OF) do
          if include.foreign and include.foreign:find(each[1]) then
            local library, at_home = each[2], false
            assert.is_table(home[library], ("%s uses %s, which has no home"):format(file, library))
            -- A header is at home where its source is.
            local source = file:gsub("%.h$", ".c")
            for _, pattern in ipairs(home[library]) do
              at_home = at_home or source:find(pattern) ~= nil
            end
            assert.is_true(at_home,
              ("%s includes <%s>; the home of %s is elsewhere"):format(file, include.foreign,
              library))
            used[library] = true
            break
          end
        end
      end
    end
    for library in pairs(home) do assert.is_true(used[library], "nothing uses " .. library) end
  end)

  it("know no other foreign header than those of the C library and Linux", function()
    local compiler = { ["float.h"] = true, ["limits.h"] = true, ["stdalign.h"] = true,
      ["stdarg.h"] = true, ["stdatomic.h"] = true,
      ["stdbool.h"] = true, ["stddef.h"] = true, ["stdint.h"] = true, ["stdnoreturn.h"] = true }
    local system = { arpa = true, net = true, netinet = true, sys = true, linux = true, asm = true }
    for _, file in ipairs(c_files()) do
      for _, include in ipairs(includes(file)) do
        local name = include.foreign
        local known = not name or compiler[name] or system[name:match("^(%w+)/") or ""]
          or fs.stat("/usr/include/" .. (name or "")) and not name:find("/")
        for _, each in ipairs(LIBRARY_OF) do known = known or name:find(each[1]) end
        assert.truthy(known, ("%s includes <%s>"):format(file, tostring(name)))
      end
    end
  end)

  it("resume and yield in one file only", function()
    for _, file in ipairs(c_files()) do
      if file ~= "engine/bind/task.c" then
        local code = sources.code_of(assert(fs.read(file)))
        for _,
          name in ipairs { "lua_resume", "lua_yield", "lua_yieldk", "lua_resetthread",
          "lua_closethread" } do
          assert.is_nil(code:find("%f[%w_]" .. name .. "%f[^%w_]"), file .. ": " .. name)
        end
      end
    end
  end)
end)

describe("floors of the library", function()
  local function requires(file)
    local found = {}
    for _, line in ipairs(sources.lines_of(file)) do
      for name in line:gmatch("require%s*%(?%s*[\"']([%w_.]+)[\"']") do
        if not line:find("^%s*%-%-") then found[#found + 1] = name end
      end
    end
    return found
  end

  local function each_require(f)
    local count = 0
    for _, file in ipairs(sources.below("lua/orch", ".lua")) do
      for _, name in ipairs(requires(file)) do
        count = count + 1
        f(file:match("^lua/orch/(.*)%.lua$"), name)
      end
    end
    assert.is_true(count > 50)
  end

  it("never look up at what a person types or sees", function()
    each_require(function(file, name)
      if file:find("^cli/") then return end
      assert.is_nil(name:find("^orch%.cli"), ("%s requires %s"):format(file, name))
      if not file:find("^ui/") then
        assert.is_nil(name:find("^orch%.ui"), ("%s requires %s"):format(file, name))
      end
    end)
  end)

  it("keep verbs away from the job that runs them", function()
    local above = { ["orch"] = true, ["orch.job"] = true, ["orch.receiver"] = true,
      ["orch.run"] = true, ["orch.pipeline"] = true,
      ["orch.step"] = true, ["orch.journal"] = true, ["orch.state"] = true, ["orch.recipe"] = true,
      ["orch.plan"] = true }
    each_require(function(file, name)
      if file:find("^verbs/") then
        assert.is_nil(above[name], ("%s requires %s"):format(file, name))
      end
    end)
  end)

  it("let plain values know plain values only", function()
    local plain = { declaration = true, env_file = true, nearest = true, options = true,
      scope = true, event = true, output = true, mask = true,
      branches = true, ["docker/reference"] = true, fnv = true, unknown = true,
      plan_memory = true, shape = true, synonyms = true }
    local engine = { error = true, secret = true, task = true, json = true }
    each_require(function(file, name)
      if not plain[file] then return end
      local short = name:gsub("^orch%.", ""):gsub("%.", "/")
      assert.truthy(plain[short] or engine[short], ("%s requires %s"):format(file, name))
    end)
  end)
end)
