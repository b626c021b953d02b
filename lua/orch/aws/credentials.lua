-- AWS credentials of a job: from the secrets that it declares.
local error_value = require "orch.error"

--- The credentials, for verbs; raises when the job does not declare them.
---@param job orch.Job
---@return { access_key: any, secret_key: any, session_token?: any }
local function of_job(job)
  local key = rawget(job.secrets, "AWS_ACCESS_KEY_ID")
  local secret = rawget(job.secrets, "AWS_SECRET_ACCESS_KEY")
  if not key or not secret then
    error(error_value.new { kind = "auth",
      message = ("job '%s' has no AWS credentials"):format(job.name),
      hint =
        "declare them: secrets = { \"AWS_ACCESS_KEY_ID\", \"AWS_SECRET_ACCESS_KEY\", \"AWS_SESSION_TOKEN?\" }" }, 0)
  end
  return { access_key = key, secret_key = secret,
    session_token = rawget(job.secrets, "AWS_SESSION_TOKEN") }
end

return { of_job = of_job }
