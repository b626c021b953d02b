---@meta orch.error

---Error values: what primitives return after nil and what verbs and jobs raise. `tostring` gives
---the message.
---@class orch.error
---@field kind orch.error.kind
---@field message string a sentence fragment with the thing's name in it, for people
---@field op? string which operation failed
---@field code? integer the system's or the library's number; a program's exit status
---@field hint? string what to do next
---@field where? string file:line of the recipe
---@field within? string file:line of the user's own verb in which it happened
---@field step? string the step's title
---@field detail? string the last lines of what a program printed
---@field traceback? string where it was raised, for --debug

---failed: a program, build or check said no · usage: bad call, recipe or config · auth: credentials
---missing, wrong, expired, not allowed · net: unreachable · remote: answered with an error of its
---own · missing: not there · conflict: exists and differs, two writers · findings: a lint found
---something · timeout · limit: a ceiling reached · io: disk full, permission, broken pipe ·
---cancelled
---@alias orch.error.kind "failed"|"usage"|"auth"|"net"|"remote"|"missing"|"conflict"|"findings"|"timeout"|"limit"|"io"|"cancelled"

local error_value = {}

---Makes the table itself an error value, to be raised with `error(value, 0)`. Raises for an unknown
---kind, and without a message.
---@param fields { kind?: orch.error.kind, message: string, op?: string, code?: integer, hint?: string } kind: default "failed"; further fields stay
---@return orch.error
function error_value.new(fields) end

---@param value any
---@return boolean
function error_value.is(value) end

---A message handler for `xpcall`: what is no error value becomes one of kind usage; adds the
---traceback where there is none yet.
---@param value any
---@return orch.error
function error_value.on_error(value) end

---@param kind orch.error.kind
---@return integer code that the program ends with: 1 to 9, 130 for cancelled; 0 for an unknown kind
function error_value.exit_code(kind) end

---The same function, for recipes: an error in `return f { … }` tells the line of the recipe, which
---Lua forgets when it calls a Lua function last. f must not wait.
---@generic F: function
---@param f F
---@return F
function error_value.keeping_caller(f) end

return error_value
