local function main(args)
  if args[1] == "lua" then
    local chunk = assert(loadfile(args[2]))
    return chunk(table.unpack(args, 3)) or 0
  end
  print("orch", args[1])
  return 0
end

return { main = main }
