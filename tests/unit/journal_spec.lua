local fs = require "orch.fs"
local journal = require "orch.journal"
local record = require "orch.record"
local scope = require "orch.scope"
local secret = require "orch.secret"
local state = require "orch.state"

-- A job's body played against a journal: each call of a verb is answered, or done and recorded.
local Session = {}
Session.__index = Session

local function play(kept)
  return setmetatable({ journal = kept, top = scope.new("job", "job"), done = {}, reasons = {} },
    Session)
end

-- how: { within = scope, again = true, state = "failed", result = value, inner = function(place) …
-- end }
function Session:call(verb, options, how)
  how = how or {}
  local place = (how.within or self.top):child("step", verb)
  local fingerprint = record.fingerprint { options }
  local recorded, reason = self.journal:answer(place, verb, fingerprint)
  if recorded then return record.decode(recorded.result) end
  self.done[#self.done + 1] = options
  self.reasons[options] = reason
  if reason and how.again then place.redo = "with its verb" end
  local step = { id = place.id, job = "job", parent = place.parent:shown().id,
    branch = place:area().id, verb = verb,
    title = options, options = fingerprint, again = how.again or false }
  self.journal:step_start(step)
  if how.inner then how.inner(place) end
  if how.state ~= "running" then
    self.journal:step_end(step, how.state or "success", how.result, nil)
  end
  return how.result
end

describe("journal", function()
  local dir, opened, kept
  before_each(function()
    dir = assert(fs.make_temp("/tmp/orch-spec-"))
    opened = state.open_at(dir)
    kept = journal.begin(opened,
      { id = "id", recipe = "r", project = "p", params = {}, options = {} })
  end)
  after_each(function()
    kept.lock:release()
    opened:close()
    assert(fs.remove(dir))
  end)

  -- Runs a body in a first session and others in later ones; the last session.
  local function sessions(first, ...)
    local session = play(kept)
    first(session)
    for _, body in ipairs { ... } do
      kept.lock:release()
      kept = journal.reopen(opened, kept.number)
      session = play(kept)
      body(session)
    end
    return session
  end

  local function calls(...)
    local names = { ... }
    return function(session)
      for _, name in ipairs(names) do session:call(name:match("^%a+"), name) end
    end
  end

  it("answers nothing in a new run", function()
    local session = sessions(calls("run 1", "run 2"))
    assert.same({ "run 1", "run 2" }, session.done)
    assert.same({}, session.reasons)
  end)

  it("answers what has succeeded, with its result", function()
    local got
    local session = sessions(function(s)
      s:call("read", "a", { result = { text = "\xff" } }) s:call("read", "b", { result = false })
    end,
      function(s) got = { s:call("read", "a"), s:call("read", "b") } end)
    assert.same({}, session.done)
    assert.same({ { text = "\xff" }, false }, got)
  end)

  it("does again what failed, was cancelled, interrupted, or waits for an answer", function()
    for given,
      words in pairs { failed = "it had failed", cancelled = "it was cancelled",
      running = "it was interrupted",
      hold = "it waited for an answer" } do
      local options = "step " .. given
      local session = sessions(function(s)
        s.top = scope.new("job", given) s:call("run", options, { state = given })
      end,
        function(s)
          s.top = scope.new("job", given) s:call("run", options) s:call("run", "next")
        end)
      assert.same({ options, "next" }, session.done)
      assert.same({ [options] = words, next = "it had not begun" }, session.reasons)
    end
  end)

  it("does anew from the first step with other options on", function()
    local session = sessions(calls("run 1", "run 2", "write 3"),
      calls("run 1", "run two", "write 3"))
    assert.same({ "run two", "write 3" }, session.done)
    assert.matches("^job/run#2 was called with other options", session.reasons["run two"])
    assert.equal(session.reasons["run two"], session.reasons["write 3"])
  end)

  it("does anew from a step on that is new", function()
    local session = sessions(calls("run 1", "run 2"), calls("run 1", "write new", "run 2"))
    assert.same({ "write new", "run 2" }, session.done)
    assert.matches("^job/write#1 is new", session.reasons["run 2"])
  end)

  it("does anew what follows a step that is gone", function()
    local session = sessions(calls("run 1", "write 2", "run 3", "run 4"),
      calls("run 1", "run 3", "run 4"))
    assert.same({ "run 3", "run 4" }, session.done)
    assert.matches("^job/write#1 is gone", session.reasons["run 3"])
  end)

  it("does anew steps in another order, and answers them the next time", function()
    local session = sessions(calls("run 1", "write 2", "read 3"),
      calls("write 2", "run 1", "read 3"))
    assert.same({ "write 2", "run 1", "read 3" }, session.done)
    session = sessions(function() end, calls("write 2", "run 1", "read 3"))
    assert.same({}, session.done)
  end)

  it("goes on from where a session that did steps anew was killed", function()
    local session = sessions(calls("run 1", "write 2", "read 3", "http 4"),
      function(s)
        s:call("run", "run 1") s:call("write", "write two") s:call("read", "read 3",
          { state = "running" })
      end,
      calls("run 1", "write two", "read 3", "http 4"))
    assert.same({ "read 3", "http 4" }, session.done)
    assert.same({ ["read 3"] = "it was interrupted", ["http 4"] = "it had not begun" },
      session.reasons)
  end)

  it("does again what is done again on every resume, and what it consists of, but not what follows",
    function()
    local function body(s)
      s:call("login", "login",
        { again = true, inner = function(place) s:call("http", "token", { within = place }) end })
      s:call("run", "after")
    end
    local session = sessions(body, body)
    assert.same({ "login", "token" }, session.done)
    assert.equal("it is done again on every resume", session.reasons.login)
    assert.equal("with its verb", session.reasons.token)
    assert.same({ "login", "token" }, sessions(function() end, body).done)
  end)

  it("does again what has a result that cannot be recorded", function()
    local function body(s)
      s:call("http", "token", { result = { password = secret.new("hunter2!", "P") } }) s:call("run",
        "after")
    end
    local session = sessions(body, body)
    assert.same({ "token" }, session.done)
    assert.matches("^its result was not kept", session.reasons.token)
  end)

  it("answers a verb with all it consists of, and within one that failed each part", function()
    local function body(ending, job)
      return function(s)
        s.top = scope.new("job", job)
        s:call("deploy", "deploy", { state = ending, inner = function(place)
          s:call("run", "inner 1", { within = place })
          s:call("run", "inner 2", { within = place })
        end })
        if ending ~= "failed" then s:call("run", "after") end
      end
    end
    local session = sessions(body("success", "one"), function(s)
      body("success", "one")(s) s:call("run", "more")
    end)
    assert.same({ "more" }, session.done)
    assert.equal("it had not begun", session.reasons.more)
    session = sessions(body("failed", "two"), body("success", "two"))
    assert.same({ "deploy", "after" }, session.done)
  end)

  describe("in branches", function()
    local function body(left, right, after)
      return function(s)
        s:call("run", "before")
        local a, b = s.top:branch("left"), s.top:branch("right")
        for _, each in ipairs(left) do s:call("run", each, { within = a }) end
        for _, each in ipairs(right) do s:call("run", each, { within = b }) end
        if after then s:call("run", after) end
      end
    end

    it("does anew only the one that differs, and what comes after both", function()
      local session = sessions(body({ "l1", "l2" }, { "r1", "r2" }, "after"),
        body({ "l1", "L2" }, { "r1", "r2" }, "after"))
      assert.same({ "L2", "after" }, session.done)
    end)

    it("does anew all in branches that begin after a difference", function()
      local session = sessions(body({ "l1" }, { "r1" }, "after"), function(s)
        s:call("run", "BEFORE")
        s:call("run", "l1", { within = s.top:branch("left") })
        s:call("run", "r1", { within = s.top:branch("right") })
      end)
      assert.same({ "BEFORE", "l1", "r1" }, session.done)
    end)

    it("does those anew also when the session that found the difference is killed before it comes to them", function()
      local session = sessions(body({ "l1" }, { "r1" }, "after"),
        function(s) s:call("run", "BEFORE") end,
        function(s)
          s:call("run", "BEFORE")
          s:call("run", "l1", { within = s.top:branch("left") })
          s:call("run", "r1", { within = s.top:branch("right") })
          s:call("run", "after")
        end)
      assert.same({ "l1", "r1", "after" }, session.done)
    end)

    it("does a failure again that something new has come before, though that was done after it",
      function()
      local function failing(new, caught)
        return function(s)
          if new then s:call("write", "new") end
          if new == "killed" then return end
          s:call("run", "failing", { state = "failed", result = {} })
          if caught then s:call("run", "after") end
        end
      end
      assert.same({ "failing" }, sessions(failing(), failing("killed"), failing("new")).done)
      assert.same({}, sessions(function() end, failing("new", true), failing("new", true)).done)
    end)

    it("goes on in each where it was interrupted", function()
      local session = sessions(body({ "l1" }, { "r1", "r2" }),
        body({ "l1", "l2" }, { "r1", "r2" }, "after"))
      assert.same({ "l2", "after" }, session.done)
    end)
  end)

  it("forgets a step, those that hold it, and all after it in its job", function()
    local function body(s)
      s:call("run", "1")
      s:call("deploy", "2", { inner = function(place)
        s:call("run", "inner 1", { within = place })
        s:call("run", "inner 2", { within = place })
      end })
      s:call("run", "3")
    end
    sessions(body)
    kept.lock:release()
    kept = journal.reopen(opened, kept.number, "job/deploy#1/run#2")
    local session = play(kept)
    body(session)
    assert.same({ "2", "inner 2", "3" }, session.done)
    assert.same({ ["2"] = "--from asks for it", ["inner 2"] = "--from asks for it",
      ["3"] = "--from asks for it" }, session.reasons)
  end)
end)
