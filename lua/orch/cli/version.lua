-- orch version
local function main()
  print("orch " .. require "orch.task".version)
  return 0
end

return { main = main }
