-- What other tools call what is here: for "did you mean", where no name is near.
local OF <const> = {
  -- commands
  build = { "docker_build", "run" }, exec = { "run" }, execute = { "run" }, start = { "run" },
  list = { "runs" }, ls = { "runs" }, ps = { "runs" }, status = { "runs" }, history = { "runs" },
  validate = { "check" }, lint = { "check" }, stop = { "cancel" }, kill = { "cancel" },
  retry = { "rerun" }, restart = { "rerun" }, init = { "new" }, create = { "new" },
  clean = { "gc" }, prune = { "gc" }, inspect = { "show", "image_inspect" },
  -- verbs
  sh = { "run" }, bash = { "run" }, shell = { "run" }, cmd = { "run", "command" },
  script = { "run", "command" }, system = { "run" }, step = { "run" },
  echo = { "log" }, print = { "log" }, clone = { "checkout" }, git_clone = { "checkout" },
  curl = { "http" }, fetch = { "http" }, request = { "http" },
  push = { "docker_push" }, pull = { "docker_pull" }, login = { "docker_login" },
  cache = { "restore_cache" }, approve = { "ask" }, input = { "ask" }, prompt = { "ask" },
  upload_artifact = { "store_artifacts" },
  download_artifact = { "attach_workspace" },
  -- options
  cwd = { "working_directory" }, dir = { "working_directory", "path" },
  workdir = { "working_directory" }, branch = { "ref" }, tag = { "tags", "ref" },
  commit = { "sha", "revision" }, sha = { "revision" }, hash = { "revision" },
  content = { "text" }, contents = { "text" }, data = { "body", "text" },
  file = { "dockerfile", "path", "files" }, src = { "source", "context" },
  build_args = { "args" }, image = { "source", "images" }, repo = { "url", "repository" },
  strategy = { "matrix" }, requires = { "needs" }, depends_on = { "needs" },
  concurrency = { "serial" },
}

--- The first of the known names that stands for this one.
---@param name string
---@param known string[]
---@return string?
local function find(name, known)
  for _, meant in ipairs(OF[name:lower():gsub("^%-+", ""):gsub("-", "_")] or {}) do
    for _, each in ipairs(known) do
      if each == meant then return each end
    end
  end
end

return { find = find }
