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
    assert(fs.write(path, 'local orch = require "orch"\nlocal outer = {}\nreturn orch.job { name = "j", run = function(job)\n' .. body .. "\nend }"))
    local job = plan.plan(recipe.load(path), { project = project.find(dir), params = given }).jobs[1]
    if not job.ends then return nil end
    return tonumber(job.ends.where:match(":(%d+)$")) .. " " .. job.ends.message:match("on (.*)")
  end

  it("are found where Lua asks no metamethod", function()
    local branch, tag <const> = "‹pipeline.git.branch›", "‹pipeline.git.tag›"
    assert.equal("4 " .. branch, ends "if job.pipeline.git.branch == 'main' then job:run 'x' end")
    assert.equal("4 " .. branch, ends "if 'main' ~= job.pipeline.git.branch then job:run 'x' end")
    assert.equal("5 " .. tag, ends "local tag = job.pipeline.git.tag\nif tag then job:run 'x' end")
    assert.equal("5 " .. tag, ends "local tag = job.pipeline.git.tag\nif job.name == 'j' and not tag then job:run 'x' end")
    assert.equal("5 ‹read›", ends "outer.text = job:read 'f'\nif outer.text == '1.2' then job:run 'x' end")
    assert.equal("5 ‹run›", ends "local r = job:run { 'x', check = false }\nwhile r.code ~= 0 do job:run 'x' end")
    assert.equal("6 ‹now›", ends "local t\nrepeat t = job:now()\nuntil t == 3")
    assert.equal("5 ‹read›", ends "local text = job:read 'f'\nlocal is = text == 'x' job:log(tostring(is))")
  end)

  it("are found in what is made of an unknown value", function()
    for _, condition in ipairs { "v:match 'x'", "v:find('x')", "v:sub(1, 2) == 'x'", "v:match 'x' ~= nil", "tonumber(v) == 3",
      "string.match(v, 'x')", "not v:find 'x'", "'a' == v:lower()" } do
      assert.equal("5 ‹read›", ends("local v = job:read 'f'\nif " .. condition .. " then job:run 'x' end"), condition)
    end
    for _, condition in ipairs { "job:read 'f' == 'x'", "job:read('f'):find 'x'", "not job:read 'f'", "'x' == job:read 'f'" } do
      assert.equal("4 ‹read›", ends("if " .. condition .. " then job:run 'x' end"), condition)
    end
    assert.equal("4 ‹run›", ends "if job:run { 'x', check = false }.code == 0 then job:run 'y' end")
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
    assert.is_nil(ends("if job.pipeline.git.branch == 'main' then job:run 'x' end", { ["pipeline.git.branch"] = "main" }))
    assert.is_nil(ends "local v = job:read 'f'\nif job.name == 'j' then job:run('x ' .. v) end")
    assert.is_nil(ends "local v = job:read 'f'\nif type(v) == 'x' then job:run 'x' end")
    assert.is_nil(ends "local v = job:read 'f'\njob:run { 'if v == x; then y; fi', environment = { V = v } } -- if v == x then")
    assert.is_nil(ends "local v = job:read 'f'\nlocal t = { v = v } for i = 1, 3 do job:run('x' .. t.v .. i) end")
  end)

  it("are read off a line", function()
    local function names(text) return table.concat(decisions.names_in(text), " ") end
    assert.equal("a.b c", names "if a.b and not c then f(d) end")
    assert.equal("x", names "local y = x == 3")
    assert.equal("", names "local y = 'if x == 3 then'")
    assert.equal("", names "x = y -- if z then")
    assert.equal("job", names "if f(x) and job:read 'y' then")
    assert.equal("z", names "elseif z then")
  end)
end)
