local overlap = require("orch.overlap").overlap

describe("patterns", function()
  local function both(expected, a, b)
    assert.equal(expected, overlap(a, b), a .. " and " .. b)
    assert.equal(expected, overlap(b, a), b .. " and " .. a)
  end

  it("meet where one name fits both", function()
    for _,
      each in ipairs { { "out", "out" }, { "*", "x" }, { "a*", "*b" }, { "*.txt", "a.*" },
      { "a?c", "*bc" },
      { "[ab]*", "b.c" }, { "a*b*c", "*x*" }, { "./out/", "out" }, { "", "x" }, { ".", "*" },
      { "**/x", "y/z" },
      { "\\*", "\\*" }, { "\\*", "*" }, { "a**", "ab" } } do
      both(true, each[1], each[2])
    end
  end)

  it("meet where one is within the other", function()
    both(true, "out", "out/x/y")
    both(true, "*/x", "out")
    both(false, "out/a", "out/b")
    both(false, "out/*", "in/x")
  end)

  it("do not meet where no name fits both", function()
    for _,
      each in ipairs { { "a", "b" }, { "a*", "b*" }, { "*.txt", "*.md" }, { "a?", "a" },
      { "a?", "abc" },
      { "\\*", "a" }, { "*a", "b" }, { "a*b", "aXc" }, { "[ab]", "" .. "abc" } } do
      both(false, each[1], each[2])
    end
  end)

  it("takes long ones", function()
    both(false, ("*a"):rep(300) .. "x", ("*a"):rep(300) .. "y")
  end)
end)
