-- orch help
local TEXT <const> = [[
orch runs build jobs written in Lua.

usage:
  orch run RECIPE [--job NAME]... [--project DIR] [NAME=VALUE]...
  orch verbs [NAME] [--recipe RECIPE]
  orch new recipe|verb NAME
  orch lua FILE [ARGUMENT]...
  orch version
  orch help

  run      runs the jobs of a recipe, each after those it needs
             --job NAME     only this job and what it needs; may be repeated
             --project DIR  the project to work on (default: the git top of the working directory)
             NAME=VALUE     a parameter that the recipe declares
  verbs    lists what a job can do; with a NAME, its options with types and defaults
  new      writes a recipe or a verb to start from
  lua      runs a Lua file inside the engine, with all primitives at hand
  version  prints the version

  --debug adds tracebacks to errors.

examples:
  orch run recipes/build_push_docker_image.lua repository=my-app
  orch run deploy.lua --job smoke_test
  orch lua tests/run.lua

exit codes: 0 good, 1 a program or check said no, 2 wrong call or recipe, 3 credentials, 4 network or
remote, 5 missing, 6 conflict, 7 findings, 8 timeout or limit, 9 disk, 130 Ctrl-C, 143 SIGTERM
]]

local function main()
  io.write(TEXT)
  return 0
end

return { main = main }
