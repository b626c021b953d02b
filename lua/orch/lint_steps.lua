-- The steps of a plan, one by one, for the rules of `orch check`.
local function each_step(plan, visit)
  for _, job in ipairs(plan.jobs) do
    for _, entry in ipairs(job.steps) do visit(entry, job) end
  end
end

local function command_of(entry)
  local command = entry.verb == "run" and entry.options and entry.options.command
  return type(command) == "table" and table.concat(command, " ") or command
end

local function each_command(plan, visit)
  each_step(plan, function(entry, job)
    local command = command_of(entry)
    if command then visit(command, entry, job) end
  end)
end

return { each_step = each_step, each_command = each_command }
