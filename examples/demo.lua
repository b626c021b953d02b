-- Shows what a run looks like: orch run examples/demo.lua [fail=true] [speed=5]. It does nothing
-- real.
local orch = require "orch"

-- A command that takes a while.
local function pace(job, seconds) return ("sleep %g"):format(seconds / job.params.speed) end

local function count_to(job, what, number, seconds)
  return ("for i in $(seq 1 %d); do echo \"%s $i/%d\"; %s; done"):format(number, what, number,
    pace(job, seconds / number))
end

return orch.pipeline {
  params = { fail = { "boolean", default = false, doc = "the tests fail" },
    speed = { "number", default = 1, doc = "5: five times as fast" } },

  orch.job { name = "lint", run = function(job)
    job:run { name = "luacheck", count_to(job, "src/module", 30, 2) }
    job:run { name = "spelling ✓ naïve 日本語", count_to(job, "日本語の長い行", 8, 1) }
  end },

  orch.job { name = "compile", run = function(job)
    job:run { name = "configure", pace(job, 0.4) .. "; echo checking for a compiler... yes" }
    job:group("libraries", function()
      orch.all {
        core = function() job:run { name = "core", count_to(job, "CC core/file", 60, 3) } end,
        net = function() job:run { name = "net", count_to(job, "CC net/file", 20, 2.2) } end,
      }
    end)
    job:run { name = "link", pace(job, 0.6) .. "; printf 'linked, without a newline at the end'" }
  end },

  orch.job { name = "test", needs = { "compile" }, run = function(job)
    job:run { name = "unit tests", "seq -f 'ok %.0f - a test' 1 20000" }
    local last = job.params.fail
      and "echo '\27[31mnot ok\27[0m 12 - parser: expected 3, got 4'; exit 1" or "echo all good"
    job:run { name = "integration tests", count_to(job, "ok", 11, 2) .. "; " .. last }
  end },

  orch.job { name = "publish", needs = { "test", "lint" }, run = function(job)
    orch.all {
      amd64 = function()
        job:transfer { "demo-amd64.tar.zst", size = 48000000, seconds = 2.5 / job.params.speed }
      end,
      arm64 = function()
        job:transfer { "demo-arm64.tar.zst", size = 31000000, seconds = 1.8 / job.params.speed }
      end,
    }
    job:log("published for 2 architectures")
  end },
}
