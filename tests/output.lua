-- Busted output handler: quiet while all is well, then one closing line "N passed, N failed, N
-- skipped".
return function()
  local handler = require "busted.outputHandlers.base"()
  local pretty = require "pl.pretty"

  local function text(message)
    if type(message) == "string" then return message end
    if require "orch.error".is(message) then
      return tostring(message) .. " [" .. message.kind .. "]\n" .. (message.traceback or "")
    end
    return pretty.write(message)
  end

  local function show(title, entries)
    for _, entry in ipairs(entries) do
      local trace = entry.trace or entry.element and entry.element.trace or {}
      print(("\n%s: %s (%s:%s)"):format(title, entry.name or "?", trace.short_src or "?",
        trace.currentline or "?"))
      print(text(entry.message))
      if entry.trace and entry.trace.traceback then print(entry.trace.traceback) end
    end
  end

  -- The test that runs, for whoever ends it from outside.
  local now = os.getenv "ORCH_TEST_NOW"

  handler.testStart = function(element)
    local out = now and assert(io.open(now, "w"))
    if out then
      out:write(handler.getFullName(element), "\n")
      out:close()
    end
    return nil, true
  end

  handler.testEnd = function(_, _, status)
    io.write(({ success = ".", pending = "s", failure = "F", error = "E" })[status] or "?")
    io.flush()
    return nil, true
  end

  handler.suiteEnd = function()
    print()
    for _, entry in ipairs(handler.pendings) do
      print(("skipped: %s%s"):format(entry.name,
        entry.message and ": " .. text(entry.message) or ""))
    end
    show("FAILED", handler.failures)
    show("ERROR", handler.errors)
    local failed = #handler.failures + #handler.errors
    -- passed until looked behind
    local left_over = failed - handler.failuresCount - handler.errorsCount
    print(("%d passed, %d failed, %d skipped"):format(handler.successesCount - left_over, failed,
      handler.pendingsCount))
    return nil, true
  end

  require "busted".subscribe({ "test", "start" }, handler.testStart,
    { predicate = handler.cancelOnPending })
  require "busted".subscribe({ "test", "end" }, handler.testEnd,
    { predicate = handler.cancelOnPending })
  require "busted".subscribe({ "suite", "end" }, handler.suiteEnd)
  return handler
end
