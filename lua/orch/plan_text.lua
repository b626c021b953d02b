-- A plan as a person reads it.
local json = require "orch.json"

local function option_lines(lines, indent, given)
  local names = {}
  for name in pairs(given or {}) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local value = given[name]
    if type(value) ~= "table" or next(value) ~= nil then
      local text = type(value) == "string" and value:gsub("\n$", "") or json.encode(value)
      lines[#lines + 1] = ("%s%s = %s"):format(indent, name,
        (text:gsub("\n", "\n" .. indent .. "    ")))
    end
  end
end

local function job_lines(lines, job)
  local needs = {}
  for i, need in ipairs(job.needs) do needs[i] = need.name end
  lines[#lines + 1] = ""
  lines[#lines + 1] = ("job %s%s"):format(job.name,
    #needs > 0 and "  after " .. table.concat(needs, ", ") or "")
  if job.executor then lines[#lines + 1] = "  in " .. job.executor end
  if #job.secrets > 0 then lines[#lines + 1] = "  secrets: " .. table.concat(job.secrets, ", ") end
  if job.not_run then lines[#lines + 1] = "  is not run: its condition says no" end
  if job.conditional then lines[#lines + 1] = "  runs only when its condition says so" end
  for _, entry in ipairs(job.steps) do
    local indent = ("  "):rep(entry.depth + 1)
    lines[#lines + 1] = ("%s%s%s%s"):format(indent, entry.verb,
      entry.title ~= entry.verb and "  " .. entry.title or "",
      entry.put_off and ("  (%s, at the end)"):format(entry.put_off.when) or "")
    option_lines(lines, indent .. "    ", entry.options)
  end
  if job.ends then
    local where = job.ends.where or "?"
    local message = job.ends.message
    if message:sub(1, #where + 2) == where .. ": " then message = message:sub(#where + 3) end
    lines[#lines + 1] = ("  … %s (%s)"):format(message, where)
  end
  option_lines(lines, "  returns ", job.outputs)
end

local TITLES <const> = { { "build", "images to be built" }, { "push", "tags to be pushed" },
  { "persist", "files to be persisted" } }

--- The plan as lines of text.
local function lines_of(result)
  local lines = { ("plan of %s"):format(result.recipe) }
  option_lines(lines, "  ", result.params)
  for _, job in ipairs(result.jobs) do job_lines(lines, job) end
  for _, each in ipairs(TITLES) do
    if #result[each[1]] > 0 then
      lines[#lines + 1] = ""
      lines[#lines + 1] = each[2]
      for _, entry in ipairs(result[each[1]]) do
        lines[#lines + 1] = ("  %s  (%s)"):format(entry.root and entry.root .. ": " .. entry.name
          or entry.name, entry.job)
      end
    end
  end
  return lines
end

return { lines = lines_of }
