local hash = require "orch.hash"
local trace = require "orch.trace"

-- A small protobuf encoder.
local function varint(value)
  local bytes = {}
  repeat
    local low = value & 0x7f
    value = value >> 7
    bytes[#bytes + 1] = string.char(value ~= 0 and low | 0x80 or low)
  until value == 0
  return table.concat(bytes)
end

local function integer(number, value) return varint(number << 3) .. varint(value) end
local function text(number, value) return varint(number << 3 | 2) .. varint(#value) .. value end
local function time(number, seconds, nanos)
  return text(number, integer(1, seconds) .. integer(2, nanos))
end

local function decode(message) return trace.decode(hash.base64(message)) end

local unknown = integer(90, 1 << 63) .. text(91, "x") .. varint(92 << 3 | 1) .. ("y"):rep(8) ..
  varint(93 << 3 | 5) .. ("z"):rep(4)

local function vertex_message(v)
  local parts = { text(1, v.digest), text(3, v.name), unknown, integer(4, v.cached and 1 or 0) }
  for _, input in ipairs(v.inputs) do parts[#parts + 1] = text(2, input) end
  if v.started then parts[#parts + 1] = time(5, v.started, 0) end
  if v.completed then
    parts[#parts + 1] = time(6, v.completed // 1 | 0, math.floor(v.completed % 1 * 1e9))
  end
  if v.error then parts[#parts + 1] = text(7, v.error) end
  return table.concat(parts) .. text(8, "group")
end

local sample = {
  vertexes = {
    { digest = "sha256:1", name = "[1/2] FROM busybox", inputs = {}, cached = true,
      started = 1700000000.0 },
    { digest = "sha256:2", name = "[2/2] RUN x", inputs = { "sha256:1", "" }, cached = false,
      completed = 1700000001.5, error = "exit code: 7" },
  },
  statuses =
    { { id = "transferring context:", vertex = "sha256:1", name = "", current = 31, total = -1,
    timestamp = 1700000000.25 } },
  logs = { { vertex = "sha256:2", stream = 2, data = "a\0\xffb\n", timestamp = 5.0 },
    { vertex = "sha256:2", stream = 1, data = "" } },
  warnings =
    { { vertex = "sha256:2", level = 1, short = "odd", detail = { "x", "y" }, url = "https://e" },
    { vertex = "", level = 0, short = "", detail = {} } },
}

local function encode(response)
  local parts = { unknown }
  for _, v in ipairs(response.vertexes) do parts[#parts + 1] = text(1, vertex_message(v)) end
  for _, s in ipairs(response.statuses) do
    parts[#parts + 1] = text(2,
      text(1, s.id) .. text(2, s.vertex) .. text(3, s.name) .. integer(4, s.current) ..
      integer(5, s.total) .. time(6, s.timestamp // 1 | 0, math.floor(s.timestamp % 1 * 1e9)))
  end
  for _, l in ipairs(response.logs) do
    parts[#parts + 1] = text(3, text(1, l.vertex) .. integer(3, l.stream) .. text(4, l.data) ..
      (l.timestamp and time(2, l.timestamp // 1 | 0, 0) or ""))
  end
  for _, w in ipairs(response.warnings) do
    parts[#parts + 1] = text(4, text(1, w.vertex) .. integer(2, w.level) .. text(3, w.short) ..
      text(4, w.detail[1] or ""):rep(w.detail[1] and 1 or 0)
        .. text(4, w.detail[2] or ""):rep(w.detail[2] and 1 or 0) ..
      (w.url and text(5, w.url) or "") .. text(7, "range"))
  end
  return table.concat(parts)
end

local function refused(message, kind)
  local value, err = decode(message)
  assert.is_nil(value)
  assert.equal(kind or "remote", err.kind)
  assert.equal("trace", err.op)
end

local function random_text() return hash.random(math.random(0, 30), "raw") end

local function random_response()
  local response = { vertexes = {}, statuses = {}, logs = {}, warnings = {} }
  for i = 1, math.random(0, 3) do
    local inputs = {}
    for k = 1, math.random(0, 4) do inputs[k] = random_text() end
    response.vertexes[i] = { digest = random_text(), name = random_text(), inputs = inputs,
      cached = math.random() < 0.5,
      started = math.random() < 0.5 and math.random(0, 1 << 31) + 0.0 or nil,
      error = math.random() < 0.5 and "e" .. random_text() or nil }
  end
  for i = 1, math.random(0, 3) do
    response.statuses[i] = { id = random_text(), vertex = random_text(), name = random_text(),
      current = math.random(0), total = math.random(0), timestamp = math.random(0, 1 << 31) + 0.5 }
  end
  for i = 1, math.random(0, 3) do
    response.logs[i] = { vertex = random_text(), stream = math.random(0), data = random_text() }
  end
  for i = 1, math.random(0, 3) do
    response.warnings[i] = { vertex = random_text(), level = math.random(0), short = random_text(),
      detail = { random_text(), random_text() },
      url = math.random() < 0.5 and "u" .. random_text() or nil }
  end
  return response
end

describe("trace.decode", function()
  it("reads all four kinds", function()
    assert.same(sample, decode(encode(sample)))
    assert.same({ vertexes = {}, statuses = {}, logs = {}, warnings = {} }, trace.decode "")
  end)

  it("brings random messages back", function()
    for _ = 1, 500 do
      local response = random_response()
      assert.same(response, decode(encode(response)))
    end
  end)

  it("takes the last of a field told twice", function()
    local told = decode(text(3, text(4, "a") .. text(4, "b") .. integer(3, 1) .. integer(3, 2)))
    assert.same({ { vertex = "", data = "b", stream = 2 } }, told.logs)
  end)

  it("passes over a field of another kind than expected", function()
    local told = decode(integer(1, 5) .. text(3, integer(4, 9) .. text(3, "x") .. text(4, "kept")))
    assert.same({ { vertex = "", data = "kept", stream = 0 } }, told.logs)
    assert.same({}, told.vertexes)
  end)

  it("survives every truncation", function()
    local message = encode(sample)
    for len = 0, #message - 1 do
      local value, err = decode(message:sub(1, len))
      assert.is_true(value ~= nil or err.kind == "remote")
    end
  end)

  it("refuses what is no protobuf", function()
    refused "\x80"
    refused(("\x80"):rep(10) .. "\1") -- a number of eleven bytes
    refused("\8" .. ("\xff"):rep(9) .. "\2") -- beyond 64 bits
    refused "\0" -- field number 0
    refused(varint(1 << 32)) -- field number 2^29
    refused "\x0b" -- begin of a group
    refused "\x0c" -- end of one
    refused "\x0e" -- kinds that do not exist
    refused "\x0f"
    refused(varint(9 << 3 | 1) .. "1234567")
    refused(varint(9 << 3 | 5) .. "123")
    refused("\x0a" .. varint((1 << 63) + 5) .. "12345") -- a negative length
    refused("\x0a" .. varint(6) .. "12345")
    refused(text(1, "\x0b")) -- and within
    refused(text(1, text(5, "\x0b")))
  end)

  it("refuses what is no base64, and what is no text", function()
    for _, bad in ipairs { "Z", "Zm9v\n", "****", "-___" } do
      local value, err = trace.decode(bad)
      assert.is_nil(value)
      assert.equal("remote", err.kind)
    end
    assert.has_error(function() trace.decode {} end)
  end)

  it("has ceilings", function()
    refused(text(3, ""):rep(200001), "limit")
    refused(text(1, text(2, ""):rep(200000)), "limit")
    assert.equal(200000, #decode(text(3, ""):rep(200000)).logs)
    refused(("\x78\0"):rep(8 << 20) .. "\x78\0", "limit")
  end)

  it("survives garbage", function()
    local message = encode(sample)
    for i = 1, 10000 do
      local bytes
      if i % 2 == 0 then
        bytes = hash.random(math.random(0, 64), "raw")
      else
        local at = math.random(#message)
        bytes = message:sub(1, at - 1) .. string.char(math.random(0, 255)) .. message:sub(at + 1)
      end
      local value, err = decode(bytes)
      assert.is_true(value ~= nil or err.kind == "remote" or err.kind == "limit")
    end
  end)
end)
