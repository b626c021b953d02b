local diff = require "orch.diff"

describe("diff", function()
  it("finds nothing in what is the same", function()
    assert.same({}, diff.lines({}, {}))
    assert.same({}, diff.lines({ "a", "b" }, { "a", "b" }))
  end)

  it("tells what is gone and what is new, in order", function()
    assert.same({ "- b" }, diff.lines({ "a", "b", "c" }, { "a", "c" }))
    assert.same({ "+ b" }, diff.lines({ "a", "c" }, { "a", "b", "c" }))
    assert.same({ "- b", "+ x" }, diff.lines({ "a", "b", "c" }, { "a", "x", "c" }))
    assert.same({ "- a", "- b" }, diff.lines({ "a", "b" }, {}))
    assert.same({ "+ a", "+ b" }, diff.lines({}, { "a", "b" }))
  end)

  it("is the smallest there is", function()
    assert.same({ "- a", "+ d" }, diff.lines({ "a", "b", "c" }, { "b", "c", "d" }))
  end)

  it("takes two long plans", function()
    local a, b = {}, {}
    for i = 1, 1000 do a[i], b[i] = "line " .. i, "line " .. (i == 500 and "other" or i) end
    assert.same({ "- line 500", "+ line other" }, diff.lines(a, b))
  end)
end)
