---@meta orch.secret

---Values that Lua carries but cannot read. A secret prints `***`, its concatenation with text is a
---secret, `string.format` and JSON refuse it; primitives open it where they take text (an
---environment, a header, a file's content). Never waits.
---
---The first secret makes the program undumpable (PR_SET_DUMPABLE): it leaves no core, and no other
---process of the same user, a step of a build least of all, can read its memory or environment
---through ptrace or `/proc`. So a debugger cannot be attached any more, except by root.
---@class orch.secret
local secret = {}

---@param value string
---@param name string by which people and the journal know it
---@return orch.Secret
function secret.new(value, name) end

---@param value any
---@return boolean
function secret.is(value) end

---@param value orch.Secret
---@return string
function secret.name(value) end

---@param value orch.Secret
---@return integer bytes
function secret.len(value) end

---@param value orch.Secret
---@param separator string
---@return string head before the separator's first occurrence; not secret any more
---@return orch.Secret tail what follows it; nil and an error of kind `usage` when there is none
function secret.split(value, separator) end

---@class orch.Secret: userdata
---@operator concat(string): orch.Secret

---@return orch.Masker that knows no secret yet
function secret.masker() end

---Finds secrets in text and puts `***` in their place.
---@class orch.Masker
local masker = {}

---From now on the value is masked: as it is; each of its lines that has at least four letters or
---digits and is no PEM header; both of these escaped for a URL (`%2F`, `%2f`, `+`), for JSON (`\n`,
---`\/`, `\u002f`) and by a shell (`'\''`, `'"'"'`, `\$`); and in base64 of both alphabets, alone or
---inside of another text, cut into lines of at least 60 characters or not; all of them with
---colours or other control sequences (CSI) in them too. Cheap at any time; streams that are under
---way take notice.
---@param value orch.Secret|string
---@return boolean masked false when it is under 4 bytes: masking it would make every text unreadable
function masker:add(value) end

---Secrets that overlap are hidden as one; of several that begin at the same place the longest
---counts. Raises for more than 1 GiB.
---@param text string
---@return string
function masker:apply(text) end

---Has it been given no secret yet? Then every text is left as it is.
---@return boolean
function masker:is_empty() end

---A text that comes in pieces: what feed and flush give, taken together, is what apply gives for
---the whole.
---@return orch.MaskStream
function masker:stream() end

---@class orch.MaskStream
local stream = {}

---Keeps back only an end that may be the beginning of a secret, so that a prompt shows at once.
---@param bytes string
---@return string safe to show, and perhaps empty
function stream:feed(bytes) end

---The text is over. The stream may then be fed another one.
---@return string rest what was kept back
function stream:flush() end

return secret
