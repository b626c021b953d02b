-- A daemon that cannot be reached, in words for its way: a socket, TLS, ssh.
local fs = require "orch.fs"

-- What the http primitive says last of a certificate; here its file has a name of its own.
local FOR_CALLERS <const> = "; if it is right, name its authority's file with ca_file"

local DOCTOR <const> = " `orch doctor` tells more"

-- { words of OpenSSL, curl or the http primitive, what they mean, what to do }; DIR is the
-- certificates' directory.
local TLS <const> = {
  { "alert certificate required", "the daemon wants a certificate of ours",
    "put cert.pem and key.pem, made by the daemon's authority, into DIR" },
  { "alert certificate expired", "our certificate has expired, says the daemon",
    "have DIR/cert.pem made anew" },
  { "alert unknown ca", "the daemon does not know the authority of our certificate",
    "is DIR/cert.pem made by the authority that the daemon believes (its --tlscacert)?" },
  { "alert bad certificate", "the daemon does not take our certificate",
    "is DIR/cert.pem made by the authority that the daemon believes (its --tlscacert)?" },
  { "certificate has expired", "the daemon's certificate has expired",
    "have it made anew on the daemon's machine; or is the clock here wrong?" },
  { "not yet valid", "the daemon's certificate is not valid yet",
    "is the clock here right, and there?" },
  { "subject name", "the daemon's certificate is for another name",
    "have it made for NAME, or call the daemon by a name that stands in it" },
  { "issuer certificate", "DIR/ca.pem is not the authority of the daemon's certificate",
    "get ca.pem from whoever runs the daemon" },
  { "self-signed certificate", "DIR/ca.pem is not the authority of the daemon's certificate",
    "get ca.pem from whoever runs the daemon" },
  { "wrong version number", "what listens there speaks no TLS",
    "is it the right port? 2376 is usual with TLS; to a daemon on this machine that has none, unset DOCKER_TLS_VERIFY" },
  { "cannot use the certificate files", nil,
    "is key.pem of DIR the key of cert.pem, and is each file PEM?" },
}

local NO_ALERT <const> = { "", "the daemon hung up",
  "does it take DIR/cert.pem? Is that still valid? Its log tells why" }

local function of_tls(place, text)
  for _, rule in ipairs(TLS) do
    if text:find(rule[1], 1, true) then return rule end
  end
  -- The alert of TLS 1.3 is lost where the daemon hangs up while we are still sending.
  if text:find("closed the connection", 1, true) or text:find(" broke: ", 1, true) then
    return place.cert_file and NO_ALERT or TLS[1]
  end
end

local function group_name(gid)
  for name, number in (fs.read("/etc/group") or ""):gmatch("([^:\n]+):[^:\n]*:(%d+):") do
    if math.tointeger(tonumber(number)) == gid then return name end
  end
  return tostring(gid)
end

-- As distributions have it: docker's socket is for root and a group, podman's for its user alone.
local function of_right(path)
  local stat = fs.stat(path)
  local own = "a rootless daemon of your own (`dockerd-rootless-setuptool.sh install`, or `systemctl "
    .. "--user start podman.socket`)"
  if stat and stat.gid ~= 0 and stat.mode & tonumber("020", 8) ~= 0 then
    local group = group_name(stat.gid)
    return ("it is for the group %s: `sudo usermod -aG %s $USER` and log in anew (its members are as "
      .. "good as root here); or use %s, or set DOCKER_HOST to another;"):format(group, group, own)
      .. DOCTOR
  end
  return ("`ls -l %s` tells whose it is; use %s, or set DOCKER_HOST to another;"):format(path, own)
    .. DOCTOR
end

local function is_right(place, text)
  return place.unix and not place.ssh and text:find("no permission", 1, true) ~= nil
end

local function of_socket(path, text)
  if text:find("no permission", 1, true) then return of_right(path) end
  return "start the daemon, or set DOCKER_HOST to where it is;" .. DOCTOR
end

-- message, hint
local function words(place, text)
  if place.ssh then
    return ("nobody answers at %s on %s (%s)"):format(place.ssh.socket, place.ssh.host, text),
      "is the daemon running there, and may this user of ssh open its socket? ssh://HOST/PATH names another one"
  elseif place.unix then
    return text, of_socket(place.unix, text)
  elseif place.tls_dir then
    local function fill(words_of_rule)
      return (words_of_rule:gsub("DIR", (place.tls_dir:gsub("%%", "%%%%"))):gsub("NAME",
        place.place.host))
    end
    local rule = of_tls(place, text)
    if rule then
      return rule[2] and ("%s (%s)"):format(fill(rule[2]), text) or text, fill(rule[3])
    end
  elseif text:find(" broke: ", 1, true) or text:find("HTTPS server", 1, true) then
    return text,
      "does it want TLS? Then set DOCKER_TLS_VERIFY=1, with its certificates in DOCKER_CERT_PATH;"
      .. DOCTOR
  end
  return text, "is the daemon running, and is DOCKER_HOST right?" .. DOCTOR
end

--- Says in the failure of a request where the daemon was looked for, what that means, and what to
--- do.
---@param place orch.DockerEndpoint
---@param failure table err of http.request, or of an answer that is none of a daemon
---@return table failure
local function explain(place, failure)
  local text, hint = words(place, (failure.message:gsub(FOR_CALLERS, "", 1)))
  if is_right(place, text) then failure.kind = "auth" end -- of a file it would be "io"
  failure.message = ("docker at %s: %s"):format(place.host, text)
  failure.hint = failure.hint or hint
  return failure
end

return { explain = explain }
