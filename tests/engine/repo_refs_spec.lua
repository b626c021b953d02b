-- Servers whose refs are not what git's are.
local proc = require "orch.proc"
local repositories = require "engine.servers.repositories"

local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$")

describe("repo.checkout from a server", function()
  local box, child, url

  setup(function()
    box = repositories.box()
    child = assert(proc.start { argv = { "/usr/bin/python3", "-I",
      here .. "/servers/git_refs.py" } })
    url = ("http://127.0.0.1:%s/"):format(assert(child:read()):match "%d+")
  end)

  teardown(function()
    child:cancel()
    child:wait()
    box:remove()
  end)

  local function fails(kind, words, case, ref)
    local err = box:fails(kind, "", { url = url .. case, ref = ref, timeout = 60 })
    assert.equal(words:gsub("URL", url .. case), err.message)
  end

  it("takes no name for a ref that git refuses", function()
    fails("missing", "no branch or tag 'main' in URL, which has none at all", "control", "main")
    fails("missing", "no branch or tag 'main' in URL, which has none at all", "paths", "main")
    fails("missing", "no branch or tag '../../main' in URL, which has none at all", "paths",
      "../../main")
  end)

  it("asks for the commit, where HEAD is on a branch of no such name", function()
    box:fails("remote", "gave no answer that a git server gives", { url = url .. "head" })
  end)

  it("finds its way among hundreds of thousands of refs", function()
    fails("missing", "no branch or tag 'mein' in URL; near: mean", "many", "mein")
  end)

  it("does not listen to refs without end", function()
    fails("limit", "URL sent more than 134217728 bytes of refs", "endless", "main")
  end)
end)
