-- Amazon ECR Public: repositories and the token for its registry.
local call = require "orch.aws.call"
local hash = require "orch.hash"
local secret = require "orch.secret"

local SERVICE <const> = {
  name = "ECR Public",
  env = "ECR_PUBLIC",
  url = "https://api.ecr-public.us-east-1.amazonaws.com",
  signing_name = "ecr-public",
  target = "SpencerFrontendService",
  region = "us-east-1", -- the only one for tokens
}

--- A login for the registry, good for 12 hours.
---@return { username: string, password: any, expires: number }
local function token(credentials)
  local answer = assert(call.call(SERVICE, "GetAuthorizationToken", {}, credentials))
  local data = answer.authorizationData or {}
  if data[1] then data = data[1] end -- the private service gives a list
  local decoded = assert(hash.unbase64(secret.new(data.authorizationToken or "", "ECR token")))
  local username, password = secret.split(decoded, ":")
  return { username = username, password = password, expires = data.expiresAt }
end

local function describe(name, credentials)
  local answer, failure = call.call(SERVICE, "DescribeRepositories", { repositoryNames = { name } },
    credentials)
  if not answer then return nil, failure end
  return answer.repositories[1]
end

--- The repository, made when it is not there.
---@return { repositoryName: string, repositoryUri: string, repositoryArn: string }, boolean created
local function ensure_repository(name, catalog, credentials)
  local repository, failure = describe(name, credentials)
  if repository then return repository, false end
  if failure.aws_code ~= "RepositoryNotFoundException" then error(failure, 0) end
  local answer
  answer, failure = call.call(SERVICE, "CreateRepository",
    { repositoryName = name, catalogData = next(catalog) and catalog or nil }, credentials)
  if answer then return answer.repository, true end
  -- Somebody else made it in between.
  if failure.aws_code == "RepositoryAlreadyExistsException" then
    return assert(describe(name, credentials)), false
  end
  error(failure, 0)
end

return { token = token, ensure_repository = ensure_repository }
