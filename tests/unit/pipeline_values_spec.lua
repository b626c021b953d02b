local pipeline_values = require "orch.pipeline_values"
local unknown = require "orch.unknown"

local INFO <const> = { revision = "c0ffee", branch = "main",
  url = "https://gitlab.example/me/app.git" }

-- A run in which git says that, and which was given these values; how often git was asked.
local function values(given, info, in_git)
  local asked = 0
  local journal = { number = 12 }
  function journal:once(f)
    asked = asked + 1
    if info == false then error({ kind = "missing", message = "no repository" }, 0) end
    return info or (f and INFO)
  end
  local run = { id = "an id", journal = journal, options = { pipeline = given },
    project = { in_git = in_git ~= false } }
  return pipeline_values.of_run(run), function() return asked end
end

local function given(texts)
  local noted = {}
  for name, text in pairs(texts) do pipeline_values.note(noted, "orch run", name, text, true) end
  return noted
end

describe("the values of a pipeline", function()
  it("are the run's and git's, and what CircleCI's own command says where there is none", function()
    local made, asked = values()
    assert.same({ 12, "an id", "2020-01-01T00:00:00Z" }, { made.number, made.id, made.event_time })
    assert.equal(0, asked())
    assert.same({ "main", "c0ffee", "c0ffee", false },
      { made.git.branch, made.git.revision, made.git.base_revision,
      made.git.is_default })
    assert.is_nil(made.git.tag)
    assert.same({ INFO.url, "gitlab" }, { made.project.git_url, made.project.type })
  end)

  it("know the kinds of projects by their URLs", function()
    for url,
      kind in pairs { ["git@github.com:a/b"] = "github",
      ["ssh://git@bitbucket.org/a/b"] = "bitbucket",
      ["https://example.org/gitlab/x"] = "github", ["git@gitlab.com:a/b.git"] = "gitlab" } do
      assert.equal(kind, values(nil, { url = url }).project.type)
    end
    assert.equal("github", values(nil, {}).project.type)
  end)

  it("may be given, and are of their type", function()
    local made = values(given { ["pipeline.number"] = "7", ["pipeline.git.is_default"] = "yes",
      ["pipeline.git.base_revision"] = "old", ["pipeline.project.type"] = "other",
      ["pipeline.git.url"] = "" })
    assert.same({ 7, true, "old", "other" },
      { made.number, made.git.is_default, made.git.base_revision, made.project.type })
    assert.is_nil(made.git.url)
    assert.equal("c0ffee", made.git.revision)
  end)

  it("are those of a branch or of a tag, as what is given is", function()
    local made = values(given { ["pipeline.git.tag"] = "v1" })
    assert.same({ nil, "v1" }, { made.git.branch, made.git.tag })
    made = values(given { ["pipeline.git.branch"] = "b" }, { branch = "main", tag = "v0" })
    assert.same({ "b", nil }, { made.git.branch, made.git.tag })
  end)

  it("are refused when they are unknown or wrong", function()
    local function refused(words, texts)
      local good, failure = pcall(given, texts)
      assert.is_false(good)
      assert.equal("usage", failure.kind)
      assert.is_truthy(failure.message:find(words, 1, true), failure.message)
    end
    refused("there is no 'pipeline.git.tga'; did you mean 'pipeline.git.tag'?",
      { ["pipeline.git.tga"] = "x" })
    refused("pipeline: 'number' must be a whole number, got 'x'", { ["pipeline.number"] = "x" })
    refused("'number' must be a whole number, got ''", { ["pipeline.number"] = "" })
    refused("'git.is_default' must be true or false", { ["pipeline.git.is_default"] = "perhaps" })
  end)

  it("name a typo", function()
    local made = values()
    local function refused(words, f)
      local good, failure = pcall(f)
      assert.is_false(good)
      assert.is_truthy(failure.message:find(words, 1, true), failure.message)
    end
    refused("job.pipeline has no 'nmber'; did you mean 'number'?", function() return made.nmber end)
    refused("job.pipeline.git has no 'brnach'; did you mean 'branch'?", function()
      return made.git.brnach
    end)
    refused("job.pipeline has no 'nmber'", function() return pipeline_values.planned({}).nmber end)
  end)

  it("say that there is no git only to those who ask for it", function()
    assert.equal("github", values(nil, false, false).project.type)
    assert.has_error(function() return values(nil, false, false).git end)
    assert.equal("b", values({ ["git.branch"] = "b" }, false, false).git.branch)
    -- git itself fails
    assert.has_error(function() return values({ ["git.branch"] = "b" }, false, true).git end)
  end)

  it("are visited in order", function()
    local names = {}
    for name in pairs(values()) do names[#names + 1] = name end
    assert.same({ "event_time", "git", "id", "number", "project" }, names)
  end)

  it("are unknown in a plan, unless they are given or always the same", function()
    local planned = pipeline_values.planned(given { ["pipeline.git.tag"] = "v1" })
    assert.equal("‹pipeline.number›", tostring(planned.number))
    assert.equal("‹pipeline.git.revision›", tostring(planned.git.revision))
    assert.is_true(unknown.is(planned.project.type))
    assert.same({ "v1", nil, false },
      { planned.git.tag, planned.git.branch, planned.git.is_default })
  end)
end)
