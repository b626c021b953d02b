local support = require "e2e.support"

local check <const> = support.check

describe("what is written otherwise elsewhere", function()
  local scratch
  before_each(function() scratch = support.scratch() end)
  after_each(function() scratch:remove() end)

  it("what CI services call otherwise", function()
    local function head(text)
      return scratch:orch { "plan", scratch:write("head.lua",
        ("return require 'orch'.job { name = 'a', %s }"):format(text)) }
    end
    local body = "try: run = function(job) job:checkout() job:run \"make\" end"
    check(scratch, head "steps = { 'checkout' }", 2, "unknown option 'steps'", "head.lua:1", body)
    check(scratch, head "run = 'make'", 2, "option 'run' must be a function", body)
    check(scratch, head "requires = { 'b' }, run = print", 2, "try: needs = {")
    check(scratch, head "needs = 'b', run = print", 2, "try: needs = {")
    check(scratch, head "image = 'x', run = print", 2, "try: executor = orch.docker {")
    check(scratch, head "retry = 3, run = print", 2, "try: retry = { attempts = 3 }")
    check(scratch, head "secrets = 'T', run = print", 2, "try: secrets = {")
    check(scratch, head "executor = require 'orch'.docker 'x', run = print", 2,
      "expected a table of options, got string", 'try: orch.docker { image = "x" }')
    check(scratch, head "environment = { 'A=b' }, run = print", 2, "got 'A=b' without a name")
    check(scratch, scratch:recipe("job:run { run = 'make' }"), 2, "unknown option 'run'",
      "try: what it takes comes first, without a name: job:run {")
    check(scratch, scratch:orch { "run", scratch:job "", "version" }, 2,
      "unexpected 'version': parameters are given as NAME=VALUE")
  end)

  it("what is written otherwise in other languages", function()
    for text, words in pairs {
      ['x = { name: "x" }'] = "name = value", ["// a"] = "begins with --", ["# a"] = "begins with --",
      ["if x != 3 then end"] = "a ~= b", ["if x || y then end"] = "a or b", ["x += 1"] = "x = x + 1",
      ["x = [1, 2]"] = "{ 1, 2 }", ['job:run "a" + "b"'] = "joined by ..", ["job:run"] = "with ()",
      ['job:run "a\n b"'] = "[[ … ]]" } do
      local path = scratch:write("r.lua", "local y\n" .. text .. "\nreturn y\n")
      check(scratch, scratch:orch { "check", path }, 2, "r.lua:", "try: ", words)
    end
  end)

  it("what Lua reads, but cannot do", function()
    for text, words in pairs {
      ['for x in { "a" } do print(x) end'] = "for i, each in ipairs { … } do",
      ['local a = "a"; print(a + "b")'] = "joined by ..", ['print(1 + "b")'] = "joined by ..",
      ['local git = {}; print("a" .. git.branch)'] = 'pipeline.git.branch=NAME',
      ['local git = {}; print(git.tag .. "")'] = 'pipeline.git.tag=NAME' } do
      check(scratch, scratch:recipe(text), 2, "recipe.lua:", "attempt to ", "try: ", words)
      local top = scratch:write("top.lua", text)
      check(scratch, scratch:orch { "run", top }, 2, "top.lua:", "attempt to ", "try: ", words)
    end
    for _, text in ipairs { 'print(job:run("true").stdout:len())', 'job:log("a" .. job:run("true").output)' } do
      check(scratch, scratch:recipe(text), 2, "recipe.lua:", "try: ", "with capture = true: job:run {")
    end
  end)

  it("expressions of CI services, which nothing replaces", function()
    for text, words in pairs {
      ["job:run 'echo ${{ secrets.X }}'"] = 'secrets = { "X" }',
      ["job:run 'echo ${{ github.sha }}'"] = "job.pipeline.git.revision",
      ["job:run 'echo << pipeline.number >>'"] = 'try: write "…" .. job.pipeline.number',
      ["job:docker_build { tags = { 'a:<< parameters.v >>' } }"] = "job.params.v",
      ["job:restore_cache { key = 'v1-{{ checksum \"a.lock\" }}' }"] = 'files = { "a.lock" }' } do
      local result = scratch:recipe(text)
      assert.matches(words, result.err, 1, true)
      result = scratch:orch { "check", scratch:job(text) }
      assert.matches("nothing replaces", result.out, 1, true)
      assert.matches(words, result.out, 1, true)
    end
    local meant = [[job:run 'cat > x <<EOF >> y' job:run "docker images --format '{{.ID}}'"
      job:write { path = 'ci.yml', text = 'run: echo ${{ github.sha }}' }]]
    assert.matches("nothing found", scratch:orch({ "check", scratch:job(meant) }).out, 1, true)
  end)

  it("variables of CI services, which nothing sets", function()
    local function checked(body, head)
      return scratch:orch({ "check", scratch:job(body, head) },
        { CIRCLE_TAG = false, GITHUB_SHA = false }).out
    end
    local found = checked 'job:run "echo app:$CIRCLE_TAG ${GITHUB_SHA:0:7}"'
    assert.matches("recipe.lua:4: run: nothing sets $CIRCLE_TAG here", found, 1, true)
    assert.matches("try: environment = { CIRCLE_TAG = job.pipeline.git.tag }", found, 1, true)
    for _, body in ipairs { 'job:run { "echo $CIRCLE_TAG", environment = { CIRCLE_TAG = "x" } }',
      'job:run "CIRCLE_TAG=x; echo $CIRCLE_TAG"', 'job:run "echo $CIRCLES $PATH"' } do
      assert.matches("nothing found", checked(body), 1, true)
    end
    assert.matches("nothing found", checked('job:run "echo $CIRCLE_TAG"',
      "environment = { CIRCLE_TAG = 'x' },"), 1, true)
  end)

  it("commands and options of other tools", function()
    for words, args in pairs { ["did you mean 'runs'?"] = { "ls" }, ["mean 'cancel'?"] = { "stop" },
      ["try: `orch plan RECIPE`"] = { "run", "x.lua", "--dry-run" },
      ["try: a parameter is given without dashes: v=2"] = { "run", "x.lua", "--v=2" } } do
      check(scratch, scratch:orch(args), 2, words)
    end
  end)

  it("a call in another form than it takes", function()
    for body, words in pairs {
      ["job.run 'x'"] = "job:run { … }", ["run 'x'"] = "it is the job's: job:run {",
      ["job:write 'x'"] = 'try: job:write { path = "x", text = … }',
      ["job:write('x', 'y')"] = 'try: job:write { path = "x", text = "y" }',
      ["job:save_cache { key = 'k', paths = 'p' }"] = 'try: paths = { "p" }',
      ["job:run { 'x', cwd = 'y' }"] = "did you mean 'working_directory'?",
      ["job:run()"] = "try: `orch verbs run` tells",
      ["job:http { url = 'u', json = {} }"] = "orch.json",
      ["job:sh 'x'"] = "did you mean 'run'?", ["job.param()"] = "did you mean 'params'?",
      ["job:log('%d', 'x')"] = "argument #2 to 'format'", ["orch.all { a = 3 }"] = "'a' is a number",
      ["orch.fail()"] = "the recipe says so", ["orch.fail('5% off')"] = "orch: 5% off",
      ["orch.cleanup()"] = "expected orch.cleanup(function() … end)",
      ["job:http 'example'"] = "the URL 'example' is malformed: it is to begin with http://",
      ["job:http 'http://x y/?t=secret'"] = "'http://x y/' is malformed",
      ["job:write { path = 'x', text = '', mode = 755 }"] = 'try: mode = "755"',
      ["job:ask 'Deploy it?'"] = 'try: job:ask { "deploy", question',
      ["job:checkout 'main'"] = 'try: job:checkout { ref = "main" }',
      ["job:log(job.pipeline.branch)"] = "did you mean 'git.branch'?" } do
      local result = scratch:recipe(body)
      check(scratch, result, body:find "fail" and 1 or 2, words, "recipe.lua:4")
    end
    local path = scratch:write("colon.lua",
      "local orch = require 'orch'\nreturn orch:job { name = 'x', run = print }\n")
    check(scratch, scratch:orch { "run", path }, 2, "takes one table", "colon.lua:2", "try: write orch.job {")
    path = scratch:write("jsn.lua", "local x = require 'orch.jsn'\n")
    check(scratch, scratch:orch { "run", path }, 2, "there is no module 'orch.jsn'\n", "jsn.lua:1")
  end)
end)
