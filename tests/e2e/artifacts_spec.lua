local fs = require "orch.fs"
local support = require "e2e.support"

-- What a job keeps for people, as CircleCI's store_artifacts does.
describe("an artifact", function()
  local scratch
  before_each(function() scratch = support.scratch() end)
  after_each(function() scratch:remove() end)

  local MADE <const> = [[
job:run "mkdir -p out/doc; echo page > out/doc/page; echo app > out/app; echo odd > 'out/[o]*'"
]]

  local function kept(path)
    return fs.read(scratch:path("state/runs/1/artifacts/" .. path))
  end

  it("stays when the job's directory goes, and is named where it is", function()
    local result = scratch:recipe(MADE .. [[
      local stored = job:store_artifacts "out/doc"
      assert(stored.entries >= 1 and stored.size > 0 and stored.dir:find("/artifacts/job/out/doc$"))
      job:store_artifacts "out/app"
      job:store_artifacts { "out/[o]*", destination = "odd/ones" }
      orch.all { a = function() job:store_artifacts { "out", destination = "all/a" } end,
        b = function() job:store_artifacts { "out", destination = "all/b" } end }]])
    assert.equal(0, result.code, result.all)
    assert.same({ "page\n", "app\n", "odd\n", "app\n", "page\n" },
      { kept "job/out/doc/page", kept "job/out/app", kept "job/odd/ones/[o]*", kept "job/all/a/app",
        kept "job/all/b/doc/page" })
    assert.is_nil(kept "job/odd/ones/app")
    assert.same({}, scratch:leftovers(true))
    local named = "files " .. scratch:path("state/runs/1/artifacts/job/odd/ones")
    assert.matches(named, result.out, 1, true)
    assert.matches(named, scratch:orch({ "show" }).out, 1, true)
  end)

  it("is kept of a job that fails, and answered from the record on resume", function()
    local body = MADE .. [[
      job:run { "true", name = "put off" }
      job:store_artifacts { "out", when = "always" }
      job:run "test -e %s"]]
    assert.equal(1, scratch:recipe(body:format(scratch:path("go"))).code)
    assert.equal("app\n", kept "job/out/app")
    scratch:write("go", "")
    local result = scratch:orch { "resume" }
    assert.equal(0, result.code, result.all)
    assert.equal("app\n", kept "job/out/app")
  end)

  it("is one of each attempt", function()
    local body = [[
      job:write { path = "log", text = "said" }
      job:store_artifacts "log"
      job:run "test -e DIR/log"]]
    body = body:gsub("DIR", scratch:path("state/runs/1/artifacts/job~2"))
    local result = scratch:recipe(body, {}, {}, "retry = { attempts = 2, delay = 0 },")
    assert.equal(0, result.code, result.all)
    assert.same({ "said", "said" }, { kept "job/log", kept "job~2/log" })
  end)

  it("is refused where it is not there, is a link, or would lie elsewhere", function()
    support.check(scratch, scratch:recipe(MADE .. 'job:store_artifacts "out/ap"'), 5, "out/app",
      "recipe.lua:")
    support.check(scratch, scratch:recipe 'job:run "ln -s /etc/passwd l" job:store_artifacts "l"', 1,
      "'l' is neither a file nor a directory (link)", "name what a link points to")
    for _, options in ipairs { '"../x"', '{ "out", destination = "/etc" }',
      '{ "out", destination = "a/../../b" }' } do
      local result = scratch:recipe('job:run "mkdir -p out ../x"; job:store_artifacts ' .. options)
      support.check(scratch, result, 2, "leads out of the artifacts of the job")
    end
  end)

  it("is a step of a plan and of a recipe's test", function()
    scratch:write("recipe.lua", [[local orch = require "orch"
return orch.job { name = "j", run = function(job)
  local stored = job:store_artifacts "report"
  job:log("in %s", stored.dir)
end }]])
    assert.matches("store report", scratch:orch({ "plan", scratch:path("recipe.lua") }).out, 1,
      true)
    local test = scratch:write("r_test.lua", [[return { ["stores"] = function(t)
  local run = t:run("recipe.lua", { verbs = { store_artifacts = function(o)
    t:equal("report", o.path)
    return { dir = "here" }
  end } })
  t:equal("success", run.jobs.j.state)
end }]])
    local result = scratch:orch { "test", test }
    assert.equal(0, result.code, result.all)
  end)
end)
