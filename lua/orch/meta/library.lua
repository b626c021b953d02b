---@meta orch.library

---The library of Lua files that is built into the program.
local library = {}

---@param module string such as "orch.verbs.run"
---@return string? doc the first comment line of its file; nil when there is none, and for a tree named by ORCH_LUA
function library.doc(module) end

---@return string path of orch-shim, the parent of every step's program, here and in containers
function library.shim() end

return library
