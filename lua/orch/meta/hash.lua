---@meta orch.hash

---SHA-256, HMAC, base64, hexadecimal digits, random bytes and AWS signatures over libcrypto. Mapped
---on first `require`. Only `hash.file` waits. Where `string|orch.secret` stands, a number is taken
---for its digits.
---@class orch.hash
local hash = {}

---@alias orch.hash.form "hex"|"raw" lower-case digits (default), or the bytes

---A digest of a secret is a plain string.
---@param data string|orch.Secret
---@param form? orch.hash.form
---@return string digest 32 bytes
function hash.sha256(data, form) end

---HMAC-SHA-256 (RFC 2104).
---@param key string|orch.Secret
---@param data string|orch.Secret
---@param form? orch.hash.form
---@return string digest 32 bytes
function hash.hmac_sha256(key, data, form) end

---Waits: SHA-256 of a regular file, read on a thread by blocks of 256 KiB; a cancellation ends it
---after the block at hand. Errors: `missing`, `io`; `usage` when it is no regular file.
---@param path string
---@return string? hex
---@return orch.error? err
function hash.file(path) end

---From the system's generator, fit for keys.
---@param n integer bytes, 0 … 1,048,576
---@param form? orch.hash.form
---@return string
function hash.random(n, form) end

---Base64 (RFC 4648) in one line, always padded: also `"url"`, as Docker's X-Registry-Auth wants it.
---A secret gives a secret of the same name.
---@generic T: string|orch.Secret
---@param data T
---@param alphabet? "standard"|"url" `"url"` has `-_` in place of `+/`
---@return T text
function hash.base64(data, alphabet) end

---Strict, save that blanks, tabs and line ends are passed over, and that `"url"` may lack all its
---padding. A secret gives a secret. Error: `usage`; it tells where, never what.
---@generic T: string|orch.Secret
---@param text T
---@param alphabet? "standard"|"url"
---@return T? data
---@return orch.error? err
function hash.unbase64(text, alphabet) end

---Lower-case digits, two a byte. A secret gives a secret.
---@generic T: string|orch.Secret
---@param data T
---@return T text
function hash.hex(data) end

---Digits of either case. A secret gives a secret. Error: `usage`.
---@generic T: string|orch.Secret
---@param text T
---@return T? data
---@return orch.error? err
function hash.unhex(text) end

---@alias orch.hash.value string|orch.Secret|(string|orch.Secret)[]

---@class orch.hash.request
---@field method? string as it is sent; default "GET"
---@field url string http(s)://…, the path as it is sent; at most 256 KiB; no secret
---@field headers? table<string, orch.hash.value> a list is one header sent several times, in its order
---@field signed? string[] names signed although they are usually left out: user-agent, expect, connection, x-amzn-trace-id, transfer-encoding, accept-encoding, content-length
---@field body? string|orch.Secret default ""
---@field payload? string in place of the body's hash: "UNSIGNED-PAYLOAD" (S3, over https only) or 64 digits; the header x-amz-content-sha256 does the same
---@field access_key string|orch.Secret
---@field secret_key string|orch.Secret
---@field session_token? string|orch.Secret empty = none
---@field region string
---@field service string the signing name: "ecr", "ecr-public", "sts", "s3"
---@field time? number Unix seconds; default now
---@field s3? boolean the path is signed as it stands (already encoded, once) and the payload's hash is sent as a header; default false: "." ".." "//" resolved, then encoded once more
---@field normalize? boolean false keeps "." ".." and "//" of the path; default true

---@class orch.hash.signed
---@field headers table<string, orch.hash.value> all that must be sent, lower-case names: those given (unfolded), host, x-amz-date, x-amz-security-token, x-amz-content-sha256 (S3), authorization (a secret when access_key is one)
---@field canonical_request string may be shown: the session token and values that are secrets are ***
---@field string_to_sign string
---@field signature string 64 digits

---AWS Signature Version 4 in the Authorization header. Header names are folded to lower case and
---sorted by name alone; white space in values shrinks to one blank; the query is decoded, encoded
---and sorted by key, then value; host carries a port that is not the scheme's own. (AWS: "Signature
---Version 4 signing process"; proven against aws-c-auth's vectors and botocore.)
---
---Raises for what cannot be signed as meant: a line end in a header, a name in two spellings,
---authorization, x-amz-date or x-amz-security-token given, blanks in a credential, an odd URL.
---@param request orch.hash.request
---@return orch.hash.signed
function hash.sigv4(request) end

---@class orch.hash.presign: orch.hash.request
---@field expires integer seconds, 1 … 604,800

---@class orch.hash.presigned: orch.hash.signed
---@field url string|orch.Secret a secret when a credential is one
---@field headers table<string, orch.hash.value> those given, and host

---As `hash.sigv4`, with the signature in the URL's query. With `s3` the payload is
---UNSIGNED-PAYLOAD.
---@param request orch.hash.presign
---@return orch.hash.presigned
function hash.sigv4_presign(request) end

return hash
