-- FNV-1a, 64 bits: tells texts apart in names and records; nothing that must resist an enemy.
local function hash(text)
  local value = 0xcbf29ce484222325
  for i = 1, #text do value = (value ~ text:byte(i)) * 0x100000001b3 end
  return ("%016x"):format(value)
end

return { hash = hash }
