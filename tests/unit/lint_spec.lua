local fs = require "orch.fs"
local lint = require "orch.lint"
local plan = require "orch.plan"
local recipe = require "orch.recipe"

local dir
before_each(function() dir = assert(fs.make_temp("/tmp/orch-spec-")) end)
after_each(function() assert(fs.remove(dir)) end)

local function plan_of(text)
  assert(fs.write(dir .. "/r.lua", 'local orch = require "orch"\n' .. text))
  return plan.plan(recipe.load(dir .. "/r.lua"),
    { project = { dir = dir, in_git = false, key = "k" } })
end

describe("check", function()
  local function findings(text) return lint.check(plan_of(text)) end
  local function job(text, head)
    return findings(("return orch.job { name = 'j', %s run = function(job)\n%s\nend }"):format(head
      or "", text))
  end

  local function finds(list, line, message, suggestion)
    assert.equal(1, #list, list[2] and list[2].message)
    assert.matches("r.lua:" .. line .. "$", list[1].where)
    assert.matches(message, list[1].message)
    assert.matches(suggestion, list[1].suggestion or "")
  end

  it("finds nothing in what is good", function()
    assert.same({}, job [[job:run "make"
job:docker_build { tags = { "r/x:1" } }
job:docker_push { tags = { "r/x:1" } }]])
  end)

  it("finds an unknown verb and an unknown option", function()
    finds(job "job:rnu 'x'", 3, "there is no verb 'rnu'; did you mean 'run'", "looked for in")
    local list = job "job:docker_build { tag = 'x' }"
    assert.matches("r.lua:3$", list[1].where)
    assert.matches("unknown option 'tag'; did you mean 'tags'", list[1].message)
  end)

  it("finds a tag that is built and not pushed, when others are", function()
    finds(job [[job:docker_build { tags = { "r/x:1", "r/x:2" } }
job:docker_push { tags = { "r/x:1" } }]], 3, "the tag r/x:2 is built but never pushed", "docker_push")
    assert.same({}, job [[job:docker_build { tags = { "local:1" } }]])
  end)

  it("finds a body that decides on what only a run can tell", function()
    finds(job "if job:now() > 3 then job:run 'x' end", 3,
      "job 'j' is decided at run time, on ‹now›", "decide on parameters")
    finds(job "if job.pipeline.git.branch == 'main' then job:run 'x' end", 3,
      "on ‹pipeline.git.branch›", "pipeline.git.branch=VALUE")
  end)

  it("finds a job that attaches what nobody has persisted", function()
    finds(job "job:attach_workspace()", 3,
      "job 'j' attaches nothing: no job that it needs persists anything", "needs = { … }")
    local function after(first)
      return findings(([[return orch.pipeline {
  orch.job { name = "a", run = function(job) %s end },
  orch.job { name = "b", needs = { "a" }, run = function(job) job:attach_workspace() end } }]]):format(first))
    end
    finds(after "job:checkout()", 4, "job 'b' attaches nothing", "persist_to_workspace")
    assert.same({}, after "job:persist_to_workspace { paths = { 'x' } }")
    local function from(name)
      return findings(([[return orch.pipeline {
  orch.job { name = "a", matrix = { v = { "1" } }, run = function(job) job:persist_to_workspace { paths = { "x" } } end },
  orch.job { name = "b", run = function() end },
  orch.job { name = "c", needs = { "a", "b" }, run = function(job) job:attach_workspace { from = { %q } } end } }]]):format(name))
    end
    finds(from "b", 5, "job 'c' attaches nothing: no job that it needs and names", "persist_to_workspace")
    assert.same({}, from "a")
    assert.same({}, from "a-1")
    local undecided = after "if job:now() > 3 then job:persist_to_workspace { paths = { 'x' } } end"
    assert.equal(1, #undecided)
    assert.matches("decided at run time", undecided[1].message)
  end)

  it("finds a tag that no registry takes", function()
    finds(job 'job:docker_push { tags = { "r/Bad:1" } }', 3, "'r/Bad:1' is no image reference", "")
    assert.same({}, job 'job:docker_push { tags = { "r/x:" .. job.pipeline.number } }')
  end)

  it("finds a secret that the job does not declare", function()
    finds(job("job:run { 'x', secrets = { 'TOKN' } }", "secrets = { 'TOKEN' },"), 3,
      "the job declares no secret 'TOKN'; did you mean 'TOKEN'", 'secrets = { "TOKN" }')
    assert.same({},
      job("job:run { 'x', secrets = { 'A', 'B' } }", "secrets = { 'A', B = { file = 'b' } },"))
  end)

  it("finds files that two jobs persist side by side", function()
    local function two(needs, a, b)
      return findings(([[return orch.pipeline {
  orch.job { name = "a", run = function(job) job:persist_to_workspace { paths = { "%s" } } end },
  orch.job { name = "b", needs = { %s }, run = function(job) job:persist_to_workspace { paths = { "%s" } } end } }]]):format(a, needs, b))
    end
    finds(two("", "out", "out"), 4, "'a' and 'b' may run side by side, and both persist out",
      "let one need the other")
    finds(two("", "*.txt", "a.txt"), 4, "side by side", "different names")
    finds(two("", "a.txt", "."), 4, "side by side", "different names")
    assert.same({}, two("'a'", "out", "out"))
    local function matrix(path)
      return findings(([[return orch.job { name = "t", matrix = { n = { 1, 2, 3 } }, run = function(job)
job:persist_to_workspace { paths = { "%s" } } end }]]):format(path))
    end
    finds(matrix "coverage.txt", 3,
      "'t%-1' and 't%-2' may run side by side, and both persist coverage.txt", "different names")
    for _, each in ipairs { "coverage", "dist/**", "out/*.txt", "v1.2/bin" } do
      assert.same({}, matrix(each))
    end
    assert.same({}, two("", "a", "b"))
  end)

  it("finds a variable where no shell expands it", function()
    finds(job "job:checkout { path = '$HOME/x' }", 3,
      "option 'path' is '$HOME/x'; no shell expands it", "job.dir")
    finds(job "job:persist_to_workspace { paths = { '${OUT}/*' } }", 3, "option 'paths'",
      "Lua value")
    assert.same({},
      job "job:run 'echo $HOME'\njob:write { path = 'f', text = '$HOME' }\njob:read 'cost$'")
  end)

  it("finds set -x beside secrets", function()
    local head = "secrets = { 'T' },"
    finds(job("job:run { 'set -x; deploy', secrets = { 'T' } }", head), 3, "set %-x", "leave")
    finds(job("job:run { 'set -eux\\ndeploy', secrets = { 'T' } }", head), 3, "set %-x", "leave")
    finds(job("job:run { 'bash', '-ex', 'deploy.sh', secrets = { 'T' } }", head), 3, "set %-x",
      "leave")
    assert.same({}, job("job:run 'set -x; make'", head))
    assert.same({}, job("job:run { 'set -e; deploy', secrets = { 'T' } }", head))
  end)

  it("finds ECR Public in another region", function()
    finds(job "job:run 'aws ecr-public get-login-password --region eu-west-1'", 3,
      "in us%-east%-1 only, not in eu%-west%-1", "ecr_login")
    finds(job "job:run 'aws --region=eu-west-1 ecr-public describe-repositories'", 3,
      "not in eu%-west%-1", "us%-east%-1")
    assert.same({},
      job "job:run 'aws ecr-public get-login-password --region us-east-1'\njob:run 'aws ecr x --region eu-west-1'")
  end)

  it("finds patterns that two jobs could both persist", function()
    local list = findings [[return orch.pipeline {
  orch.job { name = "a", run = function(job) job:persist_to_workspace { paths = { "out" } } end },
  orch.job { name = "b", run = function(job) job:persist_to_workspace { paths = { "out/b*" } } end } }]]
    finds(list, 4, "both persist out/b", "let one need")
  end)

  it("finds what is persisted from outside the root", function()
    finds(job "job:persist_to_workspace { root = 'r', paths = { '/tmp/x' } }", 3,
      "'/tmp/x' is not below the root 'r'", "relative")
    finds(job "job:persist_to_workspace { paths = { 'a/../../x' } }", 3, "not below the root '.'",
      "relative")
    assert.same({}, job "job:persist_to_workspace { paths = { 'a..b', '..c' } }")
  end)

  it("finds ~ where no shell expands it, and leaves it to shells", function()
    finds(job "job:read '~/x'", 3, "no shell expands it", "job.dir")
    assert.same({},
      job "job:run 'cat ~/x'\njob:read 'a~'\njob:run { 'pwd', working_directory = '~/x' }")
  end)

  it("finds set -x in its other forms", function()
    local head = "secrets = { 'T' },"
    for _,
      step in ipairs { "'set -o xtrace; y', secrets = { 'T' }",
      "'set -x; y', environment = { X = job.secrets.T }",
      "'y', shell = 'bash -ex', secrets = { 'T' }",
      "'y', shell = { 'sh', '-x' }, secrets = { 'T' }" } do
      finds(job("job:run { " .. step .. " }", head), 3, "set %-x", "leave")
    end
  end)

  it("finds a secret that a step names and is not given", function()
    local head = "secrets = { 'T', U = { file = 'u' } },"
    finds(job("job:run 'deploy $T'", head), 3, "$T is empty: the step is not given the secret",
      'secrets = { "T" }')
    finds(job('job:run "deploy ${U:-}"', head), 3, "$U is empty", "secrets")
    assert.same({},
      job("job:run { 'deploy $T', secrets = { 'T' } }\njob:run { 'a $T', environment = { T = 'x' } }\n"
      .. "job:run 'a $TOO'\njob:run 'T=3; a $T'", head))
  end)

  it("finds ECR Public in another region by its environment", function()
    finds(job "job:run { 'aws ecr-public x', environment = { AWS_REGION = 'eu-west-1' } }", 3,
      "not in eu%-west%-1", "us%-east%-1")
    assert.same({}, job "job:run 'aws ecr-public x --region \"$R\"'")
  end)

  it("finds a push by the docker command that sends only latest", function()
    finds(job "job:run 'docker push public.ecr.aws/a/b'", 3,
      "`docker push public.ecr.aws/a/b` sends only the tag latest", "docker_push")
    finds(job "job:run 'docker build -t r:1 . && docker push -q localhost:5000/r && x'", 3,
      "localhost:5000/r", "name the tag")
    assert.same({},
      job "job:run 'docker push r:1'\njob:run 'docker push -a r'\njob:run 'docker push \"$URI\"'\njob:run 'docker push r@sha256:0'")
  end)

  it("finds directories that a daemon would look for on its own machine", function()
    local head = "executor = orch.docker { image = 'docker:24', docker = true },"
    finds(job("job:run 'docker run --rm -v $PWD:/x alpine'", head), 3, "daemon mounts its own",
      "docker cp")
    finds(job("job:run 'docker create --volume=./a:/x alpine'", head), 3, "daemon mounts its own",
      "docker cp")
    assert.same({}, job("job:run 'docker run -v cache:/x alpine'\njob:run 'docker rm -v x'", head))
    assert.same({}, job "job:run 'docker run -v $PWD:/x alpine'")
  end)

  it("finds what is put off too late to happen", function()
    finds(job "job:run 'make'\njob:run { 'clean', when = 'always' }", 4,
      "when = \"always\" comes too late: when 'make' %(.*r.lua:3%) fails, this call is never reached", "before what may fail")
    assert.equal(2,
      #job "job:run 'make'\njob:run { 'a', when = 'on_fail' }\njob:run { 'b', when = 'always' }")
    assert.same({}, job "job:run { 'a', when = 'always' }\njob:run 'make'")
    assert.same({}, job "job:run 'up'\njob:run { 'down', when = 'always' }\njob:run 'make'")
    assert.same({}, job "job:run { 'a', when = 'always' }")
  end)

  it("tells a place once", function()
    local list = job "local t; t.x = 1"
    assert.equal("attempt to index a nil value (local 't')", list[1].message)
  end)

  it("finds a secret in a command", function()
    finds(job("job:run('deploy ' .. job.secrets.T)", "secrets = { 'T' },"), 3,
      "'T' would stand in the command line", "by name")
  end)

  it("tells all in the order of the lines", function()
    local lines = {}
    for i,
      each in ipairs(job "job:run 'docker push a/b'\njob:read '$X'\njob:run 'docker push c/d'") do
      lines[i] = each.where:match("%d+$")
    end
    assert.same({ "3", "4", "5" }, lines)
  end)

  it("finds names that nothing has", function()
    finds(job "job:run(job.pipeline.git.brnach)", 3,
      "job.pipeline.git has no 'brnach'; did you mean 'branch'", "")
    finds(job("job:run { 'x', environment = { A = job.secrets.TOKN } }", "secrets = { 'TOKEN' },"),
      3, "did you mean 'TOKEN'", "")
    local list = findings [[return orch.pipeline {
  orch.job { name = "a", run = function() return { image = "x" } end },
  orch.job { name = "b", needs = { "a" }, run = function(job) job:run(job.needs.a.imgae) end } }]]
    finds(list, 4, "job.needs.a has no 'imgae'; did you mean 'image'", "")
  end)
end)
