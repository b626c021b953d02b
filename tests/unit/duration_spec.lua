local duration = require "orch.duration"

describe("duration", function()
  it("takes seconds, and numbers with a unit", function()
    for given,
      seconds in pairs { [0] = 0, [2.5] = 2.5, ["250ms"] = 0.25, ["5s"] = 5, ["10m"] = 600,
      ["1.25h"] = 4500, ["0s"] = 0 } do
      assert.equal(seconds, duration.seconds("x", given))
    end
  end)

  it("refuses everything else, and says what it takes", function()
    for _,
      bad in ipairs { -1, 0 / 0, math.huge, "", "5", "m", "5 m", "5d", "-5s", "1.2.3s", ".5s", "5S",
      true } do
      local good, failure = pcall(duration.seconds, "x: timeout", bad)
      assert.is_false(good, tostring(bad))
      assert.equal("usage", failure.kind)
      assert.matches("^x: timeout: '.*' is no duration: .*10m", failure.message)
    end
  end)
end)
