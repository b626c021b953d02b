local lines = require "orch.docker.lines"

local function refused(text, words)
  local value, err = lines.decode("docker push x", text)
  assert.is_nil(value, text)
  assert.equal("remote", err.kind)
  assert.matches("docker push x: the daemon sent a line ", err.message, 1, true)
  assert.matches(words, err.message, 1, true)
end

describe("a daemon's line", function()
  it("is read as it comes", function()
    assert.same({ status = "Pushing", id = "a", progressDetail = { current = 1, total = 2 } },
      lines.decode("x", [[{"status":"Pushing","id":"a","progressDetail":{"current":1,"total":2}}]]))
    assert.same({ aux = { ID = "sha256:1" } }, lines.decode("x", [[{"aux":{"ID":"sha256:1"}}]]))
    assert.same({ id = "moby.buildkit.trace", aux = "CgA=" },
      lines.decode("x", [[{"id":"moby.buildkit.trace","aux":"CgA="}]]))
    assert.same({ errorDetail = {} }, lines.decode("x", [[{"error":null,"errorDetail":{"message":null}}]]))
  end)

  it("that is no object is refused", function()
    for _, text in ipairs { "5", "null", [["status"]], "{", "<html>", "{}{}", "{}\0", "\0", "{\"a\":\255}",
      ('{"a":'):rep(10000), ("["):rep(10000) .. ("]"):rep(10000),
      '{"a":' .. ("9"):rep(10000) .. "}", '{"a":1e' .. ("9"):rep(10000) .. "}" } do
      refused(text, "no JSON object")
    end
  end)

  it("with a field of another type is refused, not a fault of the engine's", function()
    for text, field in pairs {
      [ [[{"status":5}]] ] = "status", [ [[{"id":{}}]] ] = "id", [ [[{"stream":[]}]] ] = "stream",
      [ [[{"error":true}]] ] = "error", [ [[{"errorDetail":7}]] ] = "errorDetail",
      [ [[{"errorDetail":{"message":{}}}]] ] = "errorDetail.message",
      [ [[{"progressDetail":"x"}]] ] = "progressDetail",
      [ [[{"progressDetail":{"total":"9"}}]] ] = "progressDetail.total",
      [ [[{"progressDetail":{"total":1.5}}]] ] = "progressDetail.total",
      [ [[{"progressDetail":{"current":1e300}}]] ] = "progressDetail.current",
      [ [[{"id":"moby.buildkit.trace"}]] ] = "aux",
      [ [[{"id":"moby.buildkit.trace","aux":{}}]] ] = "aux",
      [ [[{"aux":{"Digest":1}}]] ] = "aux.Digest",
    } do refused(text, ("'%s'"):format(field)) end
  end)
end)
