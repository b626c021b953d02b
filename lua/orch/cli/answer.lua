-- orch answer RUN [NAME [VALUE]]
local answers = require "orch.answers"
local args = require "orch.cli.args"
local json = require "orch.json"
local options = require "orch.options"
local project = require "orch.project"
local question = require "orch.question"
local say = require "orch.cli.say"
local state = require "orch.state"
local task = require "orch.task"
local term = require "orch.term"

local SPEC <const> = { command = "answer", positional = { "run", "id", "value" },
  flags = { json = "boolean", project = "string" } }

local function list(asked, as_json)
  if as_json then
    print(json.encode(json.array(asked), { pretty = true }))
    return 0
  end
  if #asked == 0 then print "nothing is asked" end
  for _, each in ipairs(asked) do
    local choices = question.choices(each)
    say(("%s  %s%s"):format(each.id, each.question or "",
      choices and ("  (%s)"):format(choices) or ""))
  end
  return 0
end

-- A code does not belong on a command line, which every program on the machine can read.
local function read_value(asked)
  if not term.is_tty(0) then
    local line = io.read("l")
    if line then return line end
    options.usage("orch answer: no VALUE, and nothing on the standard input")
  end
  local choices, text, failure = question.choices(asked), nil, nil
  local reader = task.spawn(function()
    text, failure = term.read_line { hidden = asked.type == "code" }
  end)
  task.sleep(0) -- nothing shows what is typed before the question is there
  io.stderr:write(term.printable(("%s%s: "):format(asked.question or asked.id,
    choices and (" (%s)"):format(choices) or "")))
  reader:join()
  assert(text, failure)
  if asked.type == "code" then io.stderr:write("\n") end
  if text == "" and asked.default ~= nil then return tostring(asked.default) end
  return text
end

local function main(given)
  local parsed = args.parse(SPEC, given)
  local number = args.run_number("answer", parsed.run)
  if not number then options.usage("orch answer: which run? (orch answer RUN [NAME [VALUE]])") end
  local opened = state.open(project.find(parsed.project))
  local row = opened:run(number)
  if not parsed.id then return list(answers.open_questions(opened, row.number), parsed.json) end
  local asked = answers.find(opened, row.number, parsed.id)
  answers.note(opened, row.number, asked, parsed.value or read_value(asked))
  local now = opened:state_of(row)
  if parsed.json then
    print(json.encode { run = row.number, id = asked.id, state = now })
  elseif now ~= "live" then
    print(("noted; go on with: orch resume %d"):format(row.number))
  end
  opened:close()
  return 0
end

return { main = main, spec = SPEC }
