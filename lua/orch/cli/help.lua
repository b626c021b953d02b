-- orch help [COMMAND]
local options = require "orch.options"
local nearest = require "orch.nearest"

local OVERVIEW <const> = [[
orch runs build jobs written in Lua.

  run RECIPE       runs the jobs of a recipe, each after those it needs
  plan RECIPE      shows what a run would do, without network or credentials
  check RECIPE     finds mistakes without running
  graph RECIPE     shows which job needs which
  test [FILE|DIR]  runs the tests of recipes, with fakes for what they call
  resume [RUN]     goes on with a run that failed, was cancelled or killed
  shell [RUN] [JOB]  opens a shell where a job failed
  rerun RUN        does a run again, as a new one
  runs             lists the runs of the project
  show [RUN]       tells what a run did
  logs [RUN]       shows what its steps printed
  cancel [RUN]     stops a live run from another terminal
  answer RUN       answers a question that a run waits for
  discard RUN      gives a run up: what it kept for resume is removed
  gc               removes old runs
  doctor           tells what is missing on this machine, and how to mend it
  verbs [NAME]     lists what a job can do, or one verb's options
  new recipe|verb|test  writes a file to start from
  lua FILE         runs a Lua file inside the engine
  completion bash|zsh|fish  prints what makes a shell complete these words
  version, help

`orch help COMMAND` says more. Most commands take --json, which errors follow too, and --project DIR (default: the git
top of the working directory); all take --debug, which adds tracebacks to errors.
Exit codes: 0 good, 1 a program or check said no, 2 wrong call or recipe, 3 credentials, 4 network or remote,
5 missing (also an answer: the run is on hold), 6 conflict, 7 findings, 8 timeout or limit, 9 disk, 130 Ctrl-C,
143 SIGTERM.
]]

local PAGES <const> = {
  run = [[
orch run RECIPE [NAME=VALUE]... [options]
Runs the jobs of a recipe. NAME=VALUE sets a parameter; `orch run RECIPE --help [--json]` lists them. A value of
job.pipeline is given likewise: pipeline.git.branch=main; also number, id, git.tag, git.revision and others.

  --job NAME       only this job and what it needs; may be repeated
  -j, --jobs N     at most N jobs at once (default: the processors)
  -k, --keep-going other jobs go on when one fails
  --params FILE    parameters as a JSON object; the command line wins
  --answer NAME=VALUE  answers a question beforehand; may be repeated
  --project DIR    the project (default: the git top of the working directory)
  --format FORMAT  plain, json (events as lines; also --json), tty (default on a terminal)
  --on-fail shell  opens `orch shell` where a job has failed, if there is a terminal

ORCH_PARAM_NAME in the environment sets a parameter too. Recipes find modules and verbs/ beside them and in
the directories of ORCH_PATH.

  orch run recipes/build_push_docker_image.lua repository=my-app
  orch run deploy.lua --job smoke_test -j 2
  orch run release.lua --params release.json --format json > events.jsonl
]],
  plan = [[
orch plan RECIPE [NAME=VALUE]... [--json] [--diff OLD] [--job NAME]... [--params FILE]
Shows jobs, steps with their options, images to be built, tags to be pushed, files to be persisted. What only a
run can tell prints as ‹name›. The same input gives the same bytes.

  --json        as JSON, to keep or compare
  --diff OLD    what differs from a plan kept before
  --job NAME    only this job and what it needs
  --params FILE parameters as a JSON object

  orch plan recipes/build_push_docker_image.lua
  orch plan deploy.lua --json > before.json
  orch plan deploy.lua --diff before.json stage=production
]],
  check = [[
orch check RECIPE [NAME=VALUE]... [--json] [--job NAME]... [--params FILE]
Finds without running: unknown verbs, options and outputs; tags built but never pushed, or malformed; files
that two jobs persist side by side, or from outside the root; jobs that attach nothing; $VAR in a path; secrets beside
`set -x`, in a command, not declared, or not given to the step that names them; ECR Public outside us-east-1; clean-up
that is put off too late; directories that a daemon does not see; bodies that decide on what only a run can tell. Exit
code 7 when something is found.

  orch check recipes/build_push_docker_image.lua
  orch check deploy.lua --json
  orch check deploy.lua && orch run deploy.lua
]],
  graph = [[
orch graph RECIPE [--dot | --json]
Shows which job needs which: each level may begin when the one above has ended.

  orch graph deploy.lua
  orch graph deploy.lua --dot | dot -Tsvg > graph.svg
  orch graph recipes/build_push_docker_image.lua
]],
  resume = [[
orch resume [RUN] [--from STEP] [--recipe FILE] [--why] [--json]
Goes on with a run (default: the newest that is not done). Finished steps are answered from the record; logins and
background steps are done again, and so is the step that was interrupted.

  --from STEP    do this step (its title, JOB/TITLE, verb or place) and all after it in its job anew
  --recipe FILE  where the recipe is now, when it was moved
  --why          say of each step why it is done
  --answer NAME=VALUE  answers a question beforehand; may be repeated
  --format FORMAT      plain, json, tty, as of `orch run`

  orch resume
  orch resume 12 --why
  orch resume 12 --from "Push AWS ECR Public"
]],
  shell = [[
orch shell [RUN] [JOB] [--recipe FILE] [-- COMMAND ARGUMENT...]
Opens a shell where a run (default: the newest that is not done) stopped in a job (default: the one that failed): in
the place of the step, with its directory, environment and user, on this machine or in the job's container. Its
secrets are read anew. Logins and background steps before it are done again, and services run. What you change in
files stays for `orch resume`; nothing else does. Meanwhile the run cannot be gone on with. The exit code is the
shell's, or that of a COMMAND in place of it, which may stand in a pipe.

  --recipe FILE  where the recipe is now, when it was moved

  orch shell
  orch shell 12 test
  orch shell 12 test -- tar c logs > logs.tar
]],
  rerun = [[
orch rerun RUN [--failed] [--recipe FILE] [--json]
Does a run again as a new one, with its recipe, parameters and options.

  --failed             only what did not succeed, and what comes after it; the new run takes over the outputs and
                       files of the jobs that did
  --recipe FILE        where the recipe is now, when it was moved
  --answer NAME=VALUE  answers a question beforehand; may be repeated

  orch rerun 12
  orch rerun 12 --failed
  orch rerun 12 --format json
]],
  runs = [[
orch runs [--limit N] [--json]
Lists the runs of the project, newest first: live, hold, interrupted, success, failed, cancelled,
discarded.

  orch runs
  orch runs --limit 100
  orch runs --json | jq '.[0].state'
]],
  show = [[
orch show [RUN] [--json]
Tells what a run did (default: the newest): jobs, steps, times, images with their digests.

  orch show
  orch show 12
  orch show 12 --json | jq '.jobs[].outputs'
  orch show 12 --json | jq .materials    # commits, base images, parameters, layers, tools
]],
  logs = [=[
orch logs [RUN] [JOB[/STEP]] [--follow] [--json]
Shows what the steps of a run printed (default: the newest run).

  orch logs
  orch logs 12 build
  orch logs 12 "build/make test" --follow
]=],
  cancel = [[
orch cancel [RUN] [--json]
Asks the process that works on a live run to stop, as Ctrl-C there would, and waits until it has cleaned up.

  orch cancel
  orch cancel 12
  orch cancel 12 && orch resume 12
]],
  discard = [[
orch discard RUN [--json]
Gives a run up that failed, was cancelled or interrupted, or is on hold: its directories, containers and volumes
are deleted, and it can no longer be resumed. Its record and logs stay until `orch gc`.

  orch discard 12
  orch cancel 12 && orch discard 12
  orch runs --json | jq '.[] | select(.state == "failed") | .number' | xargs -n 1 orch discard
]],
  version = [[
orch version [--json]
Prints the version of orch.

  orch version
  orch --version
  test "$(orch version)" = "orch 0.1.0"
]],
  help = [[
orch help [COMMAND]
Tells what orch can do, or one command. `orch run RECIPE --help` lists a recipe's parameters and jobs.

  orch help
  orch help run
  orch run deploy.lua --help
]],
  answer = [=[
orch answer RUN [NAME [VALUE]] [--json] [--project DIR]
Answers a question of a run that is on hold or live. A run on hold then goes on with `orch resume`. Without a NAME the
open questions are listed. Without a VALUE it is asked for, or read from the standard input: codes do not belong on a
command line.

  orch answer 12
  orch answer 12 approve_deploy yes
  pass otp aws | orch answer 12 mfa && orch resume 12
]=],
  gc = [[
orch gc [--keep N] [--days N] [--dry-run] [--json]
Removes runs with their logs, layers and containers: all but the newest N (default 50) that are older than DAYS
(default 15); and caches that are as old. Live, held and interrupted runs stay.

  orch gc
  orch gc --keep 10 --days 3
  orch gc --dry-run
]],
  doctor = [[
orch doctor [--json] [--project DIR]
Looks at what orch needs: the docker daemon and its builder, logins, programs, git, the state directory, TLS, the
kernel, AWS variables (by name). Exit code 0, or 7 when something is missing.

  orch doctor
  orch doctor --json > doctor.json
  DOCKER_HOST=ssh://build.example orch doctor
]],
  verbs = [[
orch verbs [NAME] [--recipe RECIPE] [--stub | --json]
Lists what a job can do: built-in verbs, those in verbs/ beside the recipe, and on ORCH_PATH. With a NAME, its
options with types and defaults.

  --recipe RECIPE   the verbs that this recipe sees
  --stub            as a LuaLS stub, so that an editor completes options and finds wrong ones

  orch verbs
  orch verbs docker_build
  orch verbs smoke_test --recipe deploy/deploy.lua
]],
  test = [[
orch test [FILE | DIR]... [--json]
Runs the tests in files named *_test.lua (default: all below the working directory). A file returns a table of functions
by name, each given t. t:run(RECIPE, { … }) runs the recipe's bodies; nothing is done: what the verbs give, the test says.
RECIPE is a path from the test's file. Options:

  params, pipeline   parameters; { number = 7, ["git.branch"] = "main" }
  jobs               only these and what they need
  verbs              { NAME = value } or { NAME = function(o, job) … end }: what the verb gives; orch.fail in it fails the step
  really             { "NAME" }: verbs of your own that run, so that what they call is faked

It gives { jobs = { NAME = { state, failure, outputs, steps } }, build, push, persist }, and :calls(VERB[, JOB]): the
options of each call. t:equal(expected, got[, what]) and assert fail the test. Exit code 1 when one has failed.

  orch test
  orch test recipes/build_push_docker_image_test.lua
  orch test ci --json
]],
  new = [[
orch new recipe|verb|test NAME
Writes a file to start from: NAME.lua, verbs/NAME.lua, or NAME_test.lua for the recipe NAME.lua.

  orch new recipe deploy
  orch new verb smoke_test
  orch new recipe hello && orch new test hello && orch run hello.lua && orch test
]],
  completion = [[
orch completion bash|zsh|fish
Prints what makes that shell complete commands, options, runs and verbs. No recipe is loaded for it.

  source <(orch completion bash)                                        # in ~/.bashrc
  orch completion zsh > "${fpath[1]}/_orch"
  orch completion fish > ~/.config/fish/completions/orch.fish
]],
  lua = [[
orch lua FILE [ARGUMENT]...
Runs a Lua file inside the engine with all primitives at hand (orch.http, orch.proc, …); they give nil, err on
failure. Its integer result is the exit code.

  orch lua tests/run.lua tests/unit
  orch lua examples/registry_tags.lua 127.0.0.1:5000
  orch lua tool.lua --its --own options
]],
}

local function main(args)
  local name = args and args[1]
  if not name then
    io.write(OVERVIEW)
    return 0
  end
  if not PAGES[name] then
    local names = {}
    for each in pairs(PAGES) do names[#names + 1] = each end
    table.sort(names)
    options.usage("orch help: there is no command '%s'%s", name, nearest.hint(name, names, true))
  end
  io.write(PAGES[name])
  return 0
end

return { main = main }
