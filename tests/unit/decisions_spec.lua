local decisions = require "orch.decisions"
local fs = require "orch.fs"
local plan = require "orch.plan"
local project = require "orch.project"
local recipe = require "orch.recipe"

describe("decisions", function()
  local dir
  before_each(function() dir = assert(fs.make_temp("/tmp/orch-spec-")) end)
  after_each(function() assert(fs.remove(dir)) end)

  -- Where the plan of a job with that body ends, and on what; nil when it does not end early.
  local function ends(body, given)
    local path = dir .. "/r.lua"
    assert(fs.write(path,
      'local orch = require "orch"\nlocal outer = {}\nreturn orch.job { name = "j", run = function(job)\n' .. body .. "\nend }"))
    local job = plan.plan(recipe.load(path),
      { project = project.find(dir), params = given }).jobs[1]
    if not job.ends then return nil end
    return tonumber(job.ends.where:match(":(%d+)$")) .. " " .. job.ends.message:match("on (.*)")
  end

  it("are found where Lua asks no metamethod", function()
    local branch, tag <const> = "‹pipeline.git.branch›", "‹pipeline.git.tag›"
    assert.equal("4 " .. branch, ends "if job.pipeline.git.branch == 'main' then job:run 'x' end")
    assert.equal("4 " .. branch, ends "if 'main' ~= job.pipeline.git.branch then job:run 'x' end")
    assert.equal("5 " .. tag, ends "local tag = job.pipeline.git.tag\nif tag then job:run 'x' end")
    assert.equal("5 " .. tag,
      ends "local tag = job.pipeline.git.tag\nif job.name == 'j' and not tag then job:run 'x' end")
    assert.equal("5 ‹read›",
      ends "outer.text = job:read 'f'\nif outer.text == '1.2' then job:run 'x' end")
    assert.equal("5 ‹run.code›",
      ends "local r = job:run { 'x', check = false }\nwhile r.code ~= 0 do job:run 'x' end")
    assert.equal("6 ‹now›", ends "local t\nrepeat t = job:now()\nuntil t == 3")
    assert.equal("5 ‹read›",
      ends "local text = job:read 'f'\nlocal is = text == 'x' job:log(tostring(is))")
  end)

  it("are found in what is made of an unknown value", function()
    for _,
      condition in ipairs { "v:match 'x'", "v:find('x')", "v:sub(1, 2) == 'x'",
      "v:match 'x' ~= nil", "tonumber(v) == 3",
      "string.match(v, 'x')", "not v:find 'x'", "'a' == v:lower()" } do
      assert.matches("^5 ‹read",
        ends("local v = job:read 'f'\nif " .. condition .. " then job:run 'x' end"), condition)
    end
    for _,
      condition in ipairs { "job:read 'f' == 'x'", "job:read('f'):find 'x'", "not job:read 'f'",
      "'x' == job:read 'f'" } do
      assert.matches("^4 ‹read", ends("if " .. condition .. " then job:run 'x' end"), condition)
    end
    assert.equal("4 ‹run.code›",
      ends "if job:run { 'x', check = false }.code == 0 then job:run 'y' end")
    assert.equal("4 ‹read›", ends "local same = job:read 'f' == 'x'\njob:log(tostring(same))")
    assert.is_nil(ends "if job.name == 'j' then job:run(job:read 'f') end")
    assert.is_nil(ends "local v = job:read('f'):match '%S+'\njob:run('x' .. v:lower() .. tonumber(v))")
  end)

  it("are found within branches and groups", function()
    assert.equal("7 ‹read›", ends [[orch.all { a = function()
  local text = job:read "f"
  job:group("g", function()
    if text == "x" then job:run "y" end
  end) end }]])
  end)

  it("are none where what is decided on is known, or is only passed on", function()
    assert.is_nil(ends("if job.pipeline.git.branch == 'main' then job:run 'x' end",
      { ["pipeline.git.branch"] = "main" }))
    assert.is_nil(ends "local v = job:read 'f'\nif job.name == 'j' then job:run('x ' .. v) end")
    assert.is_nil(ends "local v = job:read 'f'\njob:run { 'if v == x; then y; fi', environment = { V = v } } -- if v == x then")
    assert.is_nil(ends "local v = job:read 'f'\nlocal t = { v = v } for i = 1, 3 do job:run('x' .. t.v .. i) end")
  end)

  it("are found wherever they stand", function()
    for text, line in pairs {
      ["if\n  v ==\n  'x' then end"] = 6, ["print(v == 'x')"] = 5,
      ["local y = v and 'a' or 'b'"] = 5, ["local y = f() or v or 2"] = 5,
      ["local function g(z) return z == 'x' end\ng(v)"] = 5, ["if tostring(v) == 'x' then end"] = 5,
      ["if ('x' .. v) == 'y' then end"] = 5,
      ["local z = ({ a = 1 })[v]"] = 5, ["repeat local q = v until q == 'x'"] = 5,
      ["for i = 1, v.count do f(i) end"] = 5,
      ["if (job:read { path = 'g' }):match 'x' then end"] = 5,
      ["if type(v) == 'string' then end"] = 5,
      ["job:run { 'x', environment = { M = v == 'x' and '1' or '0' } }"] = 5,
      ["return v == 'x'"] = 5,
      ["assert(not f(v), 'no')"] = 5, ["while f { v } [1] ~= nil do end"] = 5,
      ["local t <const> = 1 goto x ::x:: if v then end"] = 5,
    } do
      assert.matches("^" .. line .. " x?‹read",
        ends("local v, f = job:read 'f', function(...) return ... end\n" .. text) or "", text)
    end
  end)

  it("end a loop that a plan would never leave", function()
    local path = dir .. "/r.lua"
    assert(fs.write(path,
      'local orch = require "orch"\nreturn orch.job { name = "j", run = function(job) while true do job:sleep(1) end end }'))
    local job = plan.plan(recipe.load(path), { project = project.find(dir) }).jobs[1]
    assert.matches("the plan of a job ends after 100000 steps", job.ends.message)
  end)

  it("end a loop that makes ever longer texts, before they fill the memory", function()
    for _, text in ipairs { "local s = 'x' while true do s = s .. s\njob:run 'y' end",
      "local s = job:read 'f' while true do\ns = s .. s end" } do
      local path = dir .. "/r.lua"
      assert(fs.write(path,
        'local orch = require "orch"\nreturn orch.job { name = "j", run = function(job)\n' .. text
        .. "\nend }"))
      local job = plan.plan(recipe.load(path), { project = project.find(dir) }).jobs[1]
      assert.matches("the plan of a job ends at 256 MiB of memory", job.ends.message)
      assert.matches("r.lua:4$", job.ends.where)
      assert.same({}, job.steps)
      collectgarbage()
      assert.is_true(collectgarbage("count") < 128 * 1024, "what the loop made is held")
    end
  end)

  it("are told shortly where a loop counts on from an unknown number", function()
    local job = "local n = job:read 'f' for _ = 1, 10000 do n = n + 1 end if n == 3 then end"
    assert.is_true(#ends(job) < 300)
  end)

  -- What a program comes to, as it is and with its decisions marked.
  local function outcomes(text)
    local seen = {}
    local environment = setmetatable({ [decisions.NAME] = function(value) return value end },
      { __index = _G })
    for i, each in ipairs { text, decisions.marked(text) } do
      seen[i] = table.pack(assert(load(each, "=t", "t", environment))())
    end
    return seen[1], seen[2]
  end

  it("are marked without changing what a program does", function()
    for _, text in ipairs {
      "return 1 == 1 and not (2 ~= 2) or 3 .. 4 == '34', -2 ^ 2 == -4, not nil == true, #'ab' == 2 and 1 or 2",
      "local a = { [1 == 1] = 'x', b = 2; 3, f = function(...) return ... end } return a[true], a.f(1, 2), a[1], (a.f(1, 2))",
      "local t = {} for i = 3, 1, -1 do t[#t + 1] = i end for _, v in ipairs { 7 } do t[4] = v end return table.unpack(t)",
      "local s = [==[ x == y ]] -- ]==] --[[ if a == b then ]] return s, 0x1p-2, 1e-3, .5, 'a\\'b', \"\\\\\" --[=[\n]=]",
      "local x <const>, y = 1 while true do y = (y or 0) + x if y == 3 then break elseif not y then return end end return y",
      "local function f(a, ...) return select('#', ...) end local o = { m = function(self, s) return s end } return f(1, nil, nil), o:m 'x' == 'x', o:m { 1 }[1]",
      "do local i = 0 repeat local j = i i = i + 1 goto next ::next:: until j == 2 return i end",
      "return 7 // 2 == 3, 1 << 2 == 4, ~0 == -1, 5 & 3 | 8 ~ 1 == 9, 'a' < 'b' == true, 2 ^ 3 ^ 2 == 512, 'x' .. 1 + 2 .. 'y'",
    } do
      local as_is, marked = outcomes(text)
      assert.same(as_is, marked, decisions.marked(text))
    end
  end)

  it("are marked in every program of ours, line by line", function()
    local function visit(folder)
      for _, name in ipairs(assert(fs.list(folder))) do
        local path = folder .. "/" .. name
        if fs.stat(path).type == "directory" then
          visit(path)
        elseif name:find("%.lua$") then
          local text = assert(fs.read(path))
          local marked = decisions.marked(text)
          assert(load(marked, path))
          assert.equal(select(2, text:gsub("\n", "")), select(2, marked:gsub("\n", "")), path)
        end
      end
    end
    visit("lua/orch")
    visit("recipes")
  end)
end)
