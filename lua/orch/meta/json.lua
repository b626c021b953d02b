---@meta orch.json

---JSON (RFC 8259), read by jansson. Never waits.
---@class orch.json
---@field null userdata the value that JSON's `null` becomes; compare with `==`; true as a condition
local json = {}

---@class (exact) orch.json.decode_options
---@field max? integer bytes, default 64 MiB
---@field values_max? integer default 1,000,000
---@field [string] orch.UnknownOption

---What a value of JSON becomes: object → table, list → table marked by `json.array`, `null` →
---`json.null`, number without fraction and exponent → integer (64 bits; a larger one is an error),
---other number → float. Of a doubled name the last counts. Strings may hold NUL (`\u0000`), names
---may not.
---
---Errors: `usage` "invalid JSON at line:column: …" (the text itself is not quoted: it may be a
---credential), also for more than 200 levels; `limit` when the text is longer than `max`, or has
---more values than `values_max`: they may take a hundred times the memory of the text. Raises for a
---secret.
---@param text string one document, nothing behind it but white space
---@param options? orch.json.decode_options
---@return any value
---@return orch.error? err
function json.decode(text, options) end

---@class (exact) orch.json.encode_options
---@field pretty? boolean lines, indented by two; default false
---@field open_secrets? boolean a secret is written as a string, and the text is itself a secret, of that name
---@field [string] orch.UnknownOption

---The same value always gives the same bytes: names are sorted by their bytes. A table with keys
---1 … n is a list, one with string keys an object, an empty one an object unless marked by
---`json.array`. Floats keep as many digits as bring them back. Bytes that are not UTF-8 become
---U+FFFD.
---
---Raises, naming the place (`.env[3]`), for: secrets, functions, userdata, coroutines; tables that
---hold themselves, have holes, or mix a list with names; NaN and infinities; more than 200 levels;
---two names that differ only in stray bytes; more than 256 MiB of text.
---@param value any
---@param options? orch.json.encode_options
---@return string|orch.Secret text
function json.encode(value, options) end

---As `encode`, for values that read as the same again and could hold no mark of ours: booleans,
---finite numbers, texts in UTF-8, and tables of such without a metatable, which are lists or have
---names of letters, digits and `_`, at most 50 levels deep and with 1,000,000 values. nil for all
---others.
---@param value any
---@return string? text
function json.plain(value) end

---Marks the table (a new one when absent) as a list, so that it is written as `[]` when empty.
---Raises when it has a metatable of another kind.
---@generic T: table
---@param table? T
---@return T table
function json.array(table) end

return json
