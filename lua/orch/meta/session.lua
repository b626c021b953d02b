---@meta orch.session
-- BuildKit sessions: what a build asks of its client. The daemon is the client of an HTTP/2 server
-- on this connection.

local session = {}

---@class (exact) orch.session.login
---@field username string|orch.Secret
---@field password string|orch.Secret
---@field [string] orch.UnknownOption

---@class (exact) orch.session.options
---@field unix? string path of the daemon's socket; either this, or host and port
---@field host? string name or address
---@field port? integer 1 to 65535
---@field tls? boolean default false
---@field ca_file? string trusted in place of the system's authorities; PEM
---@field cert_file? string who we are; PEM
---@field key_file? string
---@field api string version of its API, "1.41"
---@field dirs? table<string, string> directories that the build may read, by the names it uses: "context", "dockerfile"
---@field dockerfile_text? string served as the file "Dockerfile" of the directory "dockerfile", which then need not exist
---@field secrets? table<string, string|orch.Secret> by id; at most 500 KiB each
---@field credentials? table<string, orch.session.login> by the host as the daemon asks: "registry.example:5000", for Docker Hub "registry-1.docker.io". Each is told for its own host only; an empty username means that password is an identity token
---@field ssh? table<string, string> paths of ssh agents' sockets by id; "default" is what a build asks for without an id
---@field output? string file that gets what the build exports (type=tar); there whole or not at all
---@field shared_key? string the same for each build of one context: then the daemon asks only for what changed (by size, mtime, mode)
---@field timeout? number seconds until the daemon has agreed; default 15
---@field silence? number seconds without a byte from the daemon, which asks for our health every few; up to a third more may pass; default 60
---@field [string] orch.UnknownOption

---@class orch.session
local s = {}

---What a build names it by. One session is for one build: a second one would get the first one's
---context.
---@return string id
function s:id() end

---@class orch.session.stats
---@field calls integer questions of the daemon
---@field entries integer files, links and directories it was told of
---@field files integer whose content it asked for
---@field bytes integer of that content
---@field secrets integer given
---@field logins integer credentials given
---@field agents integer connections to ssh agents
---@field output integer bytes in the output file

---Ends it and waits for its end; a build that still needs it fails. Errors are those of wait.
---@return orch.session.stats? stats
---@return orch.error? err
function s:close() end

---Waits until it has ended. Errors, the first one that occurred: conflict (a file changed while it
---was being sent), io and missing (a file, the output), limit, net (the daemon closed it), timeout
---(it was silent), remote (the daemon broke the protocol), usage (a pattern of .dockerignore that
---Docker refuses).
---@return orch.session.stats? stats
---@return orch.error? err
function s:wait() end

---So far.
---@return orch.session.stats stats
function s:stats() end

---What went wrong so far, if anything did; the build has failed of it, or soon will.
---@return orch.error? err
function s:failure() end

---Opens a session. It ends with the task that opened it. Served are Health, Auth/Credentials,
---Secrets, SSH, FileSync and FileSend; the rest is answered as unimplemented. Ceilings: 64 calls at
---a time, 16 directories being sent, 4 MiB of patterns, 10,000,000 entries, questions of 64 KiB; a
---daemon that passes one ends the session (limit, remote). Files are sent as owned by 0:0, with
---mode, mtime, hard links and extended attributes; sockets are left out. Errors: missing and io (a
---directory that cannot be opened; the socket), net, usage and missing (the daemon knows no
---sessions), timeout, cancelled.
---@param options orch.session.options
---@return orch.session? s
---@return orch.error? err
function session.open(options) end

return session
