local dockerfile = require "orch.docker.dockerfile"
local images = require "orch.docker.dockerfile_images"

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

  it("begin behind a byte order mark and directives of any order", function()
    local text = "\u{FEFF}# syntax = h.example/front:1 \r\n# Escape=`\r\nFROM a `\r\n as b\r\n# escape=\\\r\n"
    assert.same({ { word = "FROM", text = "FROM a as b", line = 3 } }, dockerfile.instructions(text))
    assert.same({ "h.example/front:1", "a" }, images.named(text))
    assert.same({ "h.example/front:1", "a" },
      images.named("#!/bin/run\n# escape=`\n#SYNTAX=h.example/front:1\nFROM a\n"))
    for _, before in ipairs { "\n", "# words\n", "FROM a\n" } do
      local plain = before .. "# syntax=h.example/front:1\n# escape=`\nFROM b\nRUN a `\n"
      assert.equal("b", images.named(plain)[#images.named(plain)])
      assert.not_equal("h.example/front:1", images.named(plain)[1])
      assert.equal("RUN a `", dockerfile.instructions(plain)[#dockerfile.instructions(plain)].text)
    end
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

  it("are none for what BuildKit does by itself", function()
    assert.is_nil(line("[internal] load build definition from Dockerfile"))
    assert.is_nil(line("exporting to image"))
    assert.is_nil(line("[build 9/9] RUN never"))
  end)
end)

describe("a Dockerfile's images", function()
  it("are those of FROM, --from, mounts and the syntax line", function()
    assert.same({ "docker/dockerfile:1", "busybox" }, images.named(TEXT))
    assert.same({ "h.example:5/a/b:1", "c@sha256:00", "d", "e:1" }, images.named(
      "FROM --platform=linux/amd64 h.example:5/a/b:1 as X\nFROM x\nFROM $Y\nCOPY --from=0 a b\n"
      .. "COPY --from=c@sha256:00 a b\nRUN --mount=type=bind,from=d,target=/x "
      .. "--mount=from=e:1,target=/y --mount=type=cache,target=/z true\n"))
  end)

  local ARGUMENTS <const> = [[
ARG HOST=h.example TAG="1" EMPTY=
ARG BASE=${HOST}/base:${TAG}
ARG GIVEN
FROM ${BASE} AS one
ARG TAG=other
FROM $HOST/x:$TAG
FROM ${EMPTY:-y}${EMPTY-never}:${GIVEN:+given}
FROM ${ABSENT:-z}
FROM ${ABSENT}
FROM ${GIVEN+$HOST}
FROM ${TAG/1/2}
FROM one
COPY --from=$HOST/w a b
]]

  it("have the arguments filled in, as far as they are known", function()
    assert.same({ "h.example/base:1", "h.example/x:1", "y:", "z", "h.example/w" },
      images.named(ARGUMENTS))
    assert.same({ "other:5/base:2", "other:5/x:2", "y:given", "z", "other:5/w" },
      images.named(ARGUMENTS, { HOST = "other:5", TAG = 2, GIVEN = "x", ABSENT = "no ARG says so" }))
    assert.same({}, images.named("ARG A=$A$A\nARG B=$A\nFROM $B\n"))
    local doubled = "ARG A=aaaaaaaa\n" .. ("ARG A=$A$A\n"):rep(64) .. "FROM $A\n"
    assert.same({}, images.named(doubled))
  end)

  it("have a host at least where their end is the daemon's to tell", function()
    assert.same({ "h.example/base-unknown:1", "h.example:5/unknown", "i/unknown" }, images.named([[
ARG BASE=h.example/base-${TARGETARCH}:1
ARG TAG=1-a
FROM --platform=$BUILDPLATFORM ${BASE}
FROM h.example:5/x:${TAG%-*}
FROM ${ABSENT}/x
FROM x:${ABSENT}
FROM build-${TARGETARCH}
COPY --from=i/${ABSENT} a b
]]))
    assert.is_nil(images.at_line("FROM h.example/x-${TARGETARCH}\n", 1))
  end)

  it("are found in their lines", function()
    assert.equal(4, images.line_of(ARGUMENTS, "h.example/base:1@sha256:00"))
    assert.equal(8, images.line_of(ARGUMENTS, "docker.io/library/z:latest"))
    assert.equal(6, images.line_of(ARGUMENTS, "i/x:3", { HOST = "i", TAG = 3 }))
    assert.is_nil(images.line_of(ARGUMENTS, "h.example/other:1"))
  end)
end)
