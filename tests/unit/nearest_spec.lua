local nearest = require "orch.nearest"

describe("nearest", function()
  it("finds the name that was meant", function()
    local cases = {
      { "docker_biuld", { "docker_push", "docker_build" }, "docker_build" },
      { "chekcout", { "checkout", "run" }, "checkout" },
      { "RUN", { "run" }, "run" }, { "runs", { "run" }, "run" }, { "rn", { "run" }, "run" },
      { "time_out", { "timeout" }, "timeout" },
      { "persist_to_work_space", { "persist_to_workspace" }, "persist_to_workspace" },
      { "timeout", { "timeout" }, "timeout" }, { "ab", { "ba" }, "ba" },
      { "env", { "image", "environment" }, "environment" },
      { "working_dir", { "working_directory" }, "working_directory" },
      { "color", { "colour", "colon" }, "colour" }, -- the first of equals
    }
    for _, case in ipairs(cases) do
      assert.equal(case[3], nearest.find(case[1], case[2]), case[1])
    end
  end)

  it("takes the nearest, not the first", function()
    assert.equal("bcd", nearest.find("abcd", { "abxy", "bcd" }))
  end)

  it("finds nothing when nothing is near", function()
    for _,
      case in ipairs { { "deploy", { "run", "read" } }, { "x", {} }, { "x", { "y", "z" } },
      { "xy", { "ab" } }, { "foo", { "now" } }, { "list", { "test" } }, { "stop", { "show" } },
      { "", { "a" } }, { "verylongname", { "short" } },
      { "docker", { "docker_build", "docker_push" } } } do
      assert.is_nil(nearest.find(case[1], case[2]), case[1])
    end
  end)

  it("knows what other tools call it", function()
    for name, case in pairs { ls = { "logs", "runs" }, stop = { "show", "cancel" },
      ["git-clone"] = { "image_tag", "checkout" }, Script = { "when", "run" },
      sha = { "tag", "revision" } } do
      assert.equal(case[2], nearest.find(name, case, true), name)
      assert.not_equal(case[2], nearest.find(name, case), name)
    end
    assert.equal("; did you mean 'runs'? (known: runs)", nearest.hint("ps", { "runs" }, true))
  end)

  it("makes the end of a sentence", function()
    assert.equal("; did you mean 'run'? (known: read, run)", nearest.hint("rnu", { "read", "run" }))
    assert.equal(" (known: read, run)", nearest.hint("deploy", { "read", "run" }))
    assert.equal("", nearest.hint("x", {}))
  end)

  it("tells what a list contains", function()
    assert.is_true(nearest.contains({ "a", 2 }, 2))
    assert.is_false(nearest.contains({ "a" }, "A"))
    assert.is_false(nearest.contains({}, nil))
  end)
end)
