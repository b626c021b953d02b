local dockerfile = require "orch.docker.dockerfile"

local TEXT <const> = [[
# syntax=docker/dockerfile:1
FROM busybox AS build
ARG X
RUN echo \
  # why

  two
COPY . /x

FROM scratch
COPY --from=build /x /y
RUN <<EOF
RUN this is input
EOF
RUN last $X
run last $X
]]

describe("a Dockerfile's instructions", function()
  it("are joined over lines, without comments and here-documents", function()
    local lines = {}
    for _, each in ipairs(dockerfile.instructions(TEXT)) do
      lines[#lines + 1] = each.line .. " " .. each.text
    end
    assert.same({ "2 FROM busybox AS build", "3 ARG X", "4 RUN echo two", "8 COPY . /x",
      "10 FROM scratch",
      "11 COPY --from=build /x /y", "12 RUN <<EOF", "15 RUN last $X", "16 RUN last $X" }, lines)
  end)

  it("go by the escape character that the file names", function()
    local found = dockerfile.instructions("# escape=`\nRUN a `\n b\\\n")
    assert.same({ { word = "RUN", text = "RUN a b\\", line = 2 } }, found)
  end)

  it("survive anything", function()
    for _,
      text in ipairs { "", "\n\n", "\\", "FROM", "RUN <<EOF", "RUN a \\", "#", "RUN x \\\n#",
      "\0\1\2",
      ("RUN \\\n"):rep(1000) } do
      assert.is_table(dockerfile.instructions(text))
    end
  end)

  local function line(name)
    local found = dockerfile.instruction_of(TEXT, name)
    return found and found.line
  end

  it("are found by their words", function()
    assert.equal(4, line("[build 2/3] RUN echo   two"))
    assert.equal(11, line("[stage-1 1/4] COPY --from=build /x /y"))
  end)

  it("are found by their number where words differ or come twice", function()
    assert.equal(15, line("[stage-1 3/4] RUN last value"))
    assert.equal(16, line("[stage-1 4/4] RUN last $X"))
    assert.equal(8, line("[build 3/3] COPY other /x"))
  end)

  it("name images", function()
    assert.same({ "docker/dockerfile:1", "busybox" }, dockerfile.images(TEXT))
    assert.same({ "h.example:5/a/b:1", "c@sha256:00", "d" }, dockerfile.images(
      "FROM --platform=linux/amd64 h.example:5/a/b:1 as X\nFROM x\nFROM $Y\nCOPY --from=0 a b\n"
      .. "COPY --from=c@sha256:00 a b\nRUN --mount=type=bind,from=d,target=/x true\n"))
  end)

  it("are none for what BuildKit does by itself", function()
    assert.is_nil(line("[internal] load build definition from Dockerfile"))
    assert.is_nil(line("exporting to image"))
    assert.is_nil(line("[build 9/9] RUN never"))
  end)
end)
