---@meta orch.trace

---BuildKit's progress, as `POST /build?version=2` tells it. Never waits.
---@class orch.trace
local trace = {}

---A step of the build graph. It is told several times: bare, started, completed; the last word
---counts.
---@class orch.trace.vertex
---@field digest string
---@field name string "[internal] …", "[stage 2/5] RUN …"
---@field inputs string[] digests
---@field cached boolean
---@field started? number seconds since 1970
---@field completed? number seconds since 1970
---@field error? string also of a failed cache import, after which the build may still succeed

---@class orch.trace.status
---@field id string "transferring context:"
---@field vertex string digest
---@field name string
---@field current integer bytes, as a rule
---@field total integer 0 = not known
---@field timestamp? number seconds since 1970
---@field started? number seconds since 1970
---@field completed? number seconds since 1970

---@class orch.trace.log
---@field vertex string digest
---@field timestamp? number seconds since 1970
---@field stream integer 1 stdout, 2 stderr
---@field data string any bytes; ends where the daemon's read ended, in the midst of a line or a character

---@class orch.trace.warning
---@field vertex string digest
---@field level integer
---@field short string
---@field detail string[]
---@field url? string

---@class orch.trace.response
---@field vertexes orch.trace.vertex[]
---@field statuses orch.trace.status[]
---@field logs orch.trace.log[]
---@field warnings orch.trace.warning[]

---Decodes the `aux` of a `moby.buildkit.trace` line: base64 of moby.buildkit.v1.StatusResponse
---(moby/buildkit api/services/control/control.proto). Fields it does not know are passed over.
---Errors: `remote` what is no base64 or no protobuf; `limit` more than 16 MiB or 200,000 items.
---@param base64_text string
---@return orch.trace.response?
---@return orch.error? err
function trace.decode(base64_text) end

return trace
