-- orch logs [RUN] [JOB[/STEP]] [--follow]: what the steps printed
local args = require "orch.cli.args"
local error_value = require "orch.error"
local json = require "orch.json"
local project = require "orch.project"
local state = require "orch.state"
local task = require "orch.task"

local SPEC <const> = { command = "logs", positional = { "run", "step" },
  flags = { follow = "boolean", json = "boolean", project = "string" }, short = { f = "follow" } }

local POLL <const> = 0.2

-- Steps of a job, or those whose place or title is named after it.
local function selected(step, wanted)
  if not wanted then return true end
  local job, rest = wanted:match("^([^/]+)/?(.*)$")
  return step.job == job and (rest == "" or step.title == rest or step.id == wanted or step.id:find(wanted, 1, true) == 1)
end

local function read_log(path, from)
  local file = io.open(path, "rb")
  if not file then return "" end
  file:seek("set", from)
  local text = file:read("a")
  file:close()
  return text
end

-- A running step's row does not name its log yet; logs are named after the step's number.
local function files_of(step)
  if step.log then return { step.log } end
  return { ("logs/%d.log"):format(step.seq), ("logs/%d-background.log"):format(step.seq) }
end

-- Prints what a file has got since the last time; follows.last is the step that printed last.
local function print_new(path, step, follows, as_json)
  local text = read_log(path, follows[path] or 0)
  if text == "" then return end
  follows[path] = (follows[path] or 0) + #text
  if as_json then
    print(json.encode { id = step.id, job = step.job, title = step.title, text = text })
    return
  end
  if follows.last ~= step.id then print(("-- %s / %s"):format(step.job, step.title)) end
  io.write(text)
  follows.last = step.id
end

local function main(given)
  local parsed = args.parse(SPEC, given)
  local opened = state.open(project.find(parsed.project))
  local row = opened:run(args.run_number("logs", parsed.run))
  local follows, found = {}, false
  repeat
    local live = parsed.follow and opened:state_of(opened:run(row.number)) == "live"
    for _, step in ipairs(opened:rows("SELECT * FROM steps WHERE run = ? ORDER BY seq", row.number)) do
      if selected(step, parsed.step) then
        found = true
        for _, name in ipairs(files_of(step)) do
          print_new(("%s/%s"):format(opened:run_dir(row.number), name), step, follows, parsed.json)
        end
      end
    end
    io.stdout:flush()
    if live then task.sleep(POLL) end
  until not live
  opened:close()
  if not found and parsed.step then
    error(error_value.new { kind = "missing", message = ("run %d has no step '%s'"):format(row.number, parsed.step),
      hint = ("`orch show %d` lists them"):format(row.number) }, 0)
  end
  return 0
end

return { main = main }
