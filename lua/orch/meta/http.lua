---@meta orch.http
-- HTTP requests over TCP, TLS and unix sockets. HTTP/1.1; connections are kept alive and used
-- again.

---How a server is reached.
---@class orch.http.peer
---@field unix? string path of a unix socket; the URL's host is then only the Host header
---@field ca_file? string PEM file of the authorities to trust, in place of the system's
---@field cert_file? string PEM file of our own certificate
---@field key_file? string PEM file of its key
---@field connect_timeout? number seconds for name, TCP and TLS together; default 10, 0 = 300

---@class (exact) orch.http.basic
---@field user string|orch.Secret
---@field password string|orch.Secret
---@field [string] orch.UnknownOption

---@class (exact) orch.http.options: orch.http.peer
---@field url string|orch.Secret http:// or https://, without user or password
---@field method? string default "GET", "POST" with a body
---@field headers? table<string, string|orch.Secret|(string|orch.Secret)[]> Content-Length, Transfer-Encoding and Expect are the engine's
---@field body? string|orch.Secret sent with its length; no Content-Type unless you give one
---@field body_fd? integer descriptor of a pipe, socket or file whose bytes are the body; the request closes it, whatever comes of it but a mistake in these options
---@field body_file? string path of a regular file that is the body, sent with its length
---@field body_length? integer bytes to send from body_fd; fewer is an error (io); default: to its end, chunked
---@field body_max? integer bytes of an answer; more is an error (limit); default 16 MiB in memory, none with stream or file
---@field stream? boolean return when the head is there and read the body with reply:read; default false
---@field file? string path where the body of a 2xx answer goes, mode 0600, complete or not at all
---@field timeout? number seconds for everything; default 0 = no limit
---@field idle_timeout? number seconds without a byte either way while the server's turn; default 60, 0 = no limit
---@field redirects? integer how many to follow, 0 to 50; default 0: a 3xx is the reply. Only GET and HEAD without a body are followed; to another scheme, host or port none of your headers goes along but Accept and User-Agent, nor basic nor the certificate; https to http is refused (remote)
---@field basic? orch.http.basic HTTP Basic
---@field [string] orch.UnknownOption

---@class orch.http.reply
---@field status integer any: 404 is a reply, not an error
---@field headers table<string, string> names in lower case, repeated ones joined with ", "
---@field url string the last URL, after redirects
---@field body? string nil when it went to a file

---@class orch.http.stream_reply
---@field status integer
---@field headers table<string, string>
---@field url string
local reply = {}

---Waits for the next piece of the body, of any size. nil at the end; nil, err when it broke off
---(net, remote, timeout, limit). A server whose reply is not read must wait.
---@return string? piece
---@return orch.error? err
function reply:read() end

---Ends the request; also done by <close>, and at the end of the task that made it.
function reply:close() end

local http = {}

---Makes a request and waits for its answer. Errors: net (no address, refused, reset, TLS), missing
---(no such socket, no such ca_file), io (no permission, the body's source or the file broke),
---timeout, limit, remote (broken or truncated answer, bad redirect), usage (malformed URL),
---cancelled; code is libcurl's or the system's number.
---@param options orch.http.options
---@return (orch.http.reply|orch.http.stream_reply)? reply
---@return orch.error? err
function http.request(options) end

---@class (exact) orch.http.place: orch.http.peer
---@field host? string name or address; either this and port, or unix
---@field port? integer 1 to 65535
---@field tls? boolean default false
---@field [string] orch.UnknownOption

---@class (exact) orch.http.upgrade_options: orch.http.place
---@field path string as it stands in the request, with its query; begins with "/"
---@field method? string default "POST"
---@field headers? table<string, string|orch.Secret|(string|orch.Secret)[]> as for request; "Connection: Upgrade" and "Upgrade: tcp" are added where not given
---@field body? string|orch.Secret sent with its length
---@field timeout? number seconds until the answer's head; default 60, 0 = no limit
---@field [string] orch.UnknownOption

---A raw connection. One task may read while another writes.
---@class orch.http.stream
local stream = {}

---Waits for bytes and returns those that are there. nil at the end; nil, err when the connection
---broke (net, remote).
---@param max? integer bytes, default and at most 65,536
---@return string? piece
---@return orch.error? err
function stream:read(max) end

---Waits until all of it is on its way.
---@param data string|orch.Secret
---@return true? ok
---@return orch.error? err net
function stream:write(data) end

---Ends our data; the other side's can still be read. Waits until all before is on its way; over TLS
---the end is an alert, which libcurl must have OpenSSL for (else usage).
---@return true? ok
---@return orch.error? err
function stream:shutdown() end

---Closes at once; also done by <close>, and at the end of the task that made it. Using it
---afterwards raises.
function stream:close() end

---Connects. Errors as of request: net, missing, io, timeout, cancelled.
---@param options orch.http.place
---@return orch.http.stream? stream
---@return orch.error? err
function http.stream(options) end

---Sends a request that turns the connection into a raw stream, and waits for the head of the
---answer. The stream begins right behind the head of a 101 or 2xx answer; any other status is an
---error whose code it is and whose message holds the server's words: usage (400), auth (401, 403),
---missing (404), conflict (409), remote. Besides those of request: limit for a head of more than 64
---KiB.
---@param options orch.http.upgrade_options
---@return orch.http.stream? stream
---@return { status: integer, headers: table<string, string> }|orch.error head_or_err
function http.upgrade(options) end

return http
