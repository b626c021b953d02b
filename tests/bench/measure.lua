-- Times commands in turn, A B A B …, and prints medians and the ratio pair by pair. Processor time,
-- of the command and of all that it waited for, tells more than the clock where others work too.
local proc = require "orch.proc"

local function median(values)
  local sorted = table.move(values, 1, #values, 1, {})
  table.sort(sorted)
  local middle = #sorted // 2
  return #sorted % 2 == 1 and sorted[middle + 1] or (sorted[middle] + sorted[middle + 1]) / 2
end

local function range(values)
  local low, high = math.huge, -math.huge
  for _, value in ipairs(values) do low, high = math.min(low, value), math.max(high, value) end
  return low, high
end

local TIMEOUT <const> = 300 -- seconds, of one command: a measurement ends, whatever it measures

--- Runs a command once; { seconds, cpu, max_rss }.
local function once(command)
  local result =
    assert(proc.run { argv = command.argv, env = command.env, cwd = command.cwd,
    timeout = TIMEOUT })
  if result.code ~= 0 then
    error(("%s: exit code %s\n%s"):format(table.concat(command.argv, " "), result.code,
      result.stdout), 0)
  end
  return { seconds = result.seconds, cpu = result.user + result.system, max_rss = result.max_rss }
end

local function as_function(subject)
  if type(subject) == "function" then return subject end
  return function() return once { argv = subject.argv, env = subject.env, cwd = subject.cwd } end
end

local function time_text(seconds)
  if seconds < 1 then return ("%.2f ms"):format(seconds * 1000) end
  return ("%.2f s"):format(seconds)
end

local function print_side(label, samples, divide)
  local seconds, cpu, rss = {}, {}, {}
  for i, sample in ipairs(samples) do
    seconds[i], cpu[i], rss[i] = sample.seconds / divide, (sample.cpu or 0) / divide,
      sample.max_rss or 0
  end
  local low, high = range(seconds)
  local _, peak = range(rss)
  print(("  %-34s median %10s   (%s … %s)%s"):format(label, time_text(median(seconds)),
    time_text(low),
    time_text(high), peak > 0 and ("   processor %s   peak %.1f MiB"):format(time_text(median(cpu)),
      peak / 1048576) or ""))
end

--- spec: { title, a = { label, argv, … } or { label, run = function }, b = …, runs, per (divides
--- each time), goal }
local function compare(spec)
  print("\n" .. spec.title)
  local a, b = as_function(spec.a.run or spec.a), as_function(spec.b.run or spec.b)
  a()
  b()
  local as, bs, ratios = {}, {}, {}
  for i = 1, spec.runs do
    as[i], bs[i] = a(), b()
    ratios[i] = bs[i].seconds / as[i].seconds
  end
  print_side(spec.a.label, as, spec.per or 1)
  print_side(spec.b.label, bs, spec.per or 1)
  local low, high = range(ratios)
  print(("  ratio %s / %s: median %.2f (%.2f … %.2f)%s"):format(spec.b.label, spec.a.label,
    median(ratios), low, high,
    spec.goal and "   goal: " .. spec.goal or ""))
end

return { compare = compare, once = once, median = median, time_text = time_text }
