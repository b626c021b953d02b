local event = require "orch.event"
local fs = require "orch.fs"
local output = require "orch.output"
local secret = require "orch.secret"

describe("output", function()
  local dir, masker, lines, self
  before_each(function()
    dir = assert(fs.make_temp("/tmp/orch-spec-"))
    masker, lines = secret.masker(), {}
    local bus = event.bus(masker)
    bus:subscribe(function(each) lines[#lines + 1] = each.line end)
    self = output.new(bus, "job/run#1", {
      log_name = function() return "1.log" end,
      open_log = function(_, name) return assert(io.open(dir .. "/" .. name, "a")) end,
    })
  end)
  after_each(function()
    self:close()
    assert(fs.remove(dir))
  end)

  local function written(...)
    for _, piece in ipairs { ... } do self:write(piece) end
    self:close()
    return lines
  end

  it("sends whole lines, however they come", function()
    assert.same({ "one", "two", "", "three" }, written("o", "ne\ntw", "o\n\nth", "ree"))
    assert.equal("one\ntwo\n\nthree\n", fs.read(dir .. "/1.log"))
  end)

  it("sends a line as soon as it ends", function()
    self:write "one\ntwo"
    assert.same({ "one" }, lines)
    self:write "\n"
    assert.same({ "one", "two" }, lines)
  end)

  it("makes no file and no line of nothing", function()
    assert.same({}, written(""))
    assert.same({}, fs.list(dir))
  end)

  it("takes CR LF as the end of a line, and leaves other CRs", function()
    assert.same({ "a", "b\rc", "d" }, written("a\r", "\nb\rc\r\nd"))
  end)

  it("keeps other bytes as they are", function()
    assert.same({ "a\0b\xff\tc" }, written("a\0b\xff\tc\n"))
  end)

  it("sends a long line in parts", function()
    written(("x"):rep(40000), "y\n")
    assert.same({ 16384, 16384, 7233 }, { #lines[1], #lines[2], #lines[3] })
    assert.equal(("x"):rep(40000) .. "y", table.concat(lines))
  end)

  it("takes a megabyte of short lines, and one long line in many pieces, quickly", function()
    local started = os.clock()
    written(("0123456\n"):rep(131072))
    assert.equal(131072, #lines)
    for _ = 1, 10000 do self:write(("x"):rep(100)) end
    assert.is_true(os.clock() - started < 10)
  end)

  it("hides a secret wherever it is cut: in pieces, in long lines, in the file and in the tail",
    function()
    masker:add(secret.new("hunter2-and-more", "PASSWORD"))
    for at = 1, 15 do
      lines = {}
      written("p=" .. ("hunter2-and-more"):sub(1, at), ("hunter2-and-more"):sub(at + 1) .. "\n")
      assert.same({ "p=***" }, lines)
    end
    lines = {}
    for before = 16384 - 18, 16384 + 2 do
      self:write(("x"):rep(before) .. "hunter2-and-more" .. ("y"):rep(20) .. "\n")
    end
    self:write(("x"):rep(16380))
    self:write "hunter2-"
    self:write("and-more" .. ("y"):rep(40000))
    self:close()
    local shown = table.concat(lines, "\n") .. fs.read(dir .. "/1.log") .. self:last_lines()
    for _, part in ipairs { "hunter2", "hunter", "and-more", "nd-more" } do
      assert.is_nil(shown:find(part, 1, true))
    end
  end)

  it("keeps the last twenty lines for an error", function()
    local all = {}
    for i = 1, 50 do
      all[i] = "line " .. i
      self:write("line " .. i .. "\n")
    end
    assert.equal(table.concat(all, "\n", 31, 50), self:last_lines())
  end)

  it("gives fewer where there are fewer", function()
    assert.equal("", self:last_lines())
    self:write "a\nb\nc"
    assert.equal("a\nb", self:last_lines())
    self:close()
    assert.equal("a\nb\nc", self:last_lines())
  end)
end)
