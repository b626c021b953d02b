local adoption = require "orch.adoption"
local fs = require "orch.fs"
local journal = require "orch.journal"
local record = require "orch.record"
local state = require "orch.state"

describe("a run on record", function()
  local dir, opened, kept

  local function begin(id)
    return journal.begin(opened,
      { id = id, recipe = "r", project = "p", params = {}, options = {} })
  end

  before_each(function()
    dir = assert(fs.make_temp("/tmp/orch-spec-"))
    opened = state.open_at(dir)
    kept = begin "id"
  end)
  after_each(function()
    kept.lock:release()
    opened:close()
    assert(fs.remove(dir))
  end)

  it("refuses to reopen a run that is live, and leaves it as it is", function()
    local other = state.open_at(dir)
    local good, failure = pcall(journal.reopen, other, kept.number, "job/run#1")
    assert.same({ false, "conflict" }, { good, failure.kind })
    other:close()
  end)

  it("numbers runs without a hole, and knows a live from an interrupted one", function()
    local second = begin "id2"
    assert.equal(kept.number + 1, second.number)
    assert.equal("live", opened:state_of(opened:run(second.number)))
    second.lock:release()
    assert.equal("interrupted", opened:state_of(opened:run(second.number)))
    second:run_end("failed", "x")
    assert.equal("failed", opened:state_of(opened:run(second.number)))
  end)

  it("takes finished jobs over from another run, with their steps and layers", function()
    local function ended(name, end_state)
      kept:job_start(name, 1)
      kept:step_start { id = name .. "/persist#1", job = name, parent = name, branch = name,
        verb = "persist", title = "p", options = "{}",
        again = false }
      kept:add_layer(name .. "/persist#1", name,
        { digest = "sha256:" .. name, diff_id = "d", size = 1, entries = 1, paths = { "f" } })
      kept:step_end({ id = name .. "/persist#1", verb = "persist" }, "success", {}, nil)
      kept:job_end(name, end_state, record.encode { x = name })
    end
    ended("good", "success")
    ended("bad", "failed")
    local second = begin "id2"
    adoption.adopt(second, kept.number, { "good" })
    assert.equal(record.encode { x = "good" }, second.jobs.good.outputs)
    assert.is_nil(second.jobs.bad)
    local layers = second:layers()
    assert.same({ 1, "sha256:good" }, { #layers, layers[1].digest })
    second.lock:release()
  end)
end)
