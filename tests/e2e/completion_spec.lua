local proc = require "orch.proc"
local support = require "e2e.support"

describe("completion", function()
  local scratch
  before_each(function() scratch = support.scratch() end)
  after_each(function() scratch:remove() end)

  -- What bash offers for a line whose last word is being written.
  local function offered(...)
    local result = assert(proc.run { argv = { "bash", "--norc", "-c", [[
        orch() { "$ORCH" "$@"; }
        source <(orch completion bash)
        COMP_WORDS=(orch "$@") COMP_CWORD=$#
        _orch 2> /dev/null
        echo "${COMPREPLY[*]}"]], "bash", ... }, timeout = 30, cwd = scratch.dir,
      env = { ORCH = support.orch, ORCH_STATE = scratch:path("state") } })
    assert.equal(0, result.code)
    return (result.stdout:gsub("\n$", ""))
  end

  it("offers commands, options, their values, verbs and kinds of files", function()
    assert.equal("rerun resume run runs", offered "r")
    assert.equal("--follow", offered("logs", "12", "--fo"))
    assert.equal("--dry-run", offered("gc", "--dr"))
    assert.equal("plain json tty", offered("run", "a.lua", "--format", ""))
    assert.equal("image_remove image_retag", offered("verbs", "image_r"))
    assert.equal("recipe", offered("new", "r"))
    assert.equal("discard doctor", offered("help", "d"))
    assert.equal("--help", offered("run", "--json", "--he"))
  end)

  it("leaves to the shell what may be a file, or is nothing to offer", function()
    for _, line in ipairs { { "run", "" }, { "run", "a.lua", "--params", "" }, { "run", "-j", "" },
      { "lua", "" }, { "nonsense", "" }, { "new", "recipe", "" } } do
      assert.equal("", offered(table.unpack(line)))
    end
  end)

  it("offers the runs of the project, makes no record of any, and runs no recipe", function()
    local path = scratch:write("recipe.lua", "error('loaded')")
    assert.equal("", offered("show", ""))
    assert.equal("", offered("run", path, ""))
    assert.is_nil(require "orch.fs".stat(scratch:path("state")))
    local good = scratch:write("good.lua",
      "return require 'orch'.job { name = 'j', run = function() end }")
    for _ = 1, 11 do assert.equal(0, scratch:orch({ "run", good }).code) end
    assert.equal("1 10 11", offered("show", "1"):gsub("(%d+) (%d+) (%d+)", "%3 %2 %1"))
    assert.equal("", offered("show", "1", ""))
    assert.equal("j", offered("shell", "1", ""))
  end)

  it("is there for three shells", function()
    for _, shell in ipairs { "bash", "zsh", "fish" } do
      local result = scratch:orch { "completion", shell }
      assert.equal(0, result.code)
      assert.matches("orch completion words", result.out, 1, true)
    end
    local result = scratch:orch { "completion", "tcsh" }
    assert.equal(2, result.code)
    assert.matches("bash, zsh or fish", result.err, 1, true)
  end)
end)
