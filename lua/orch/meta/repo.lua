---@meta orch.repo
-- Git: a commit as a work tree, and what a directory's repository is. Over libgit2, in a helper
-- program (lib/orch/orch-repo) that is killed when the task is cancelled or a time is over.

---@class (exact) orch.repo.checkout_options
---@field url string|orch.Secret `https://…`, `http://…`, `ssh://…`, `user@host:path`, or an absolute path (or `file:///…`) of a repository on this machine: bare, or its work tree. A user and password in it serve as `user` and `password` and appear nowhere else
---@field ref? string a branch or tag by its short name (a branch is looked for first) or a full name, `refs/pull/7/head`; default: with `sha` none, else the remote's HEAD
---@field sha? string the commit to check out; 40 hexadecimal digits, for a path 7 or more. With a branch as `ref` HEAD is on that branch, moved to this commit
---@field into string directory: absent, empty, or a git repository (updated in place: what differs from the commit is written, files that git does not know survive unless they are in the way, as with `git checkout --force`); anything else is a conflict
---@field mirror? string directory of bare mirrors, one per URL, shared between processes; the work tree borrows its objects, so nothing may be pruned there while work trees live. Whoever may read it may read what was fetched with any credentials. Default: objects are fetched straight into `into`. Unused for a path
---@field times? string a file that keeps the times of this checkout's files; written at the end. A file that was there in the checkout before, with the same content, gets the time it had then: so what goes by size and time sees a fresh work tree as one that was updated. Not for submodules
---@field user? string|orch.Secret for http(s); default "x-access-token" when there is a password
---@field password? string|orch.Secret for http(s): a password or token. Sent with the first request, to the scheme, host and port of `url` only; nothing of it is written anywhere
---@field submodules? boolean check out submodules too, to any depth; default false
---@field tags? boolean bring all tags; default false: only one that is `ref`
---@field timeout? number seconds for everything; default 600, 0 = no limit
---@field idle_timeout? number seconds without any progress; default 60, 0 = no limit
---@field [string] orch.UnknownOption

---@class orch.repo.checkout_result
---@field sha string the commit, 40 digits
---@field ref? string full name of what was checked out; nil when only `sha` was given
---@field branch? string HEAD is on it
---@field tag? string `ref` is this tag; HEAD is detached
---@field subject string first paragraph of the message, in one line
---@field author string "Name <address>"
---@field time integer when it was committed, seconds since 1970
---@field files integer files written; in place, those that were right already do not count
---@field objects integer objects received
---@field bytes integer bytes received
---@field seconds { fetch: number, checkout: number }
---@field mirror_hit boolean nothing had to be received; always true for a path

---@class orch.repo.info_result
---@field top string the work tree's directory, of a bare repository its own
---@field sha? string HEAD's commit; nil when there is none yet
---@field branch? string nil when HEAD is detached
---@field tag? string a tag at that very commit: an annotated one first, of several the last by name
---@field remote_url? string origin's URL, without credentials
---@field subject? string
---@field author? string
---@field time? integer
---@field dirty? boolean with the option `dirty` only: `git status --porcelain` would print something

local repo = {}

---Makes `into` the work tree of a commit. `git status` is clean afterwards; origin is `url` without
---credentials; HEAD is on the branch, or detached for a tag, another ref or a bare `sha`. No hook,
---filter driver or other program that a repository names is run; the machine's git configuration
---(insteadOf, proxies) counts. From a path nothing is copied: objects are borrowed from that
---repository, which must stay.
---
---Interrupted at any moment (cancel, timeout, SIGKILL) it leaves an absent or empty `into` without
---a work tree; what it leaves beside it is deleted at once, or by the next checkout into the same
---directory.
---
---Errors: usage (malformed URL or sha), missing (no such repository, ref or commit; names that are
---near are listed), auth (credentials asked for, refused, or not sufficient), net (no address,
---refused, TLS), remote (the server answered with an error of its own), timeout, conflict (`into`
---holds something else; another checkout into it runs), failed (a hostile repository: paths that
---lead out of the work tree or into .git; a submodule without a usable URL), io.
---@param options orch.repo.checkout_options
---@return orch.repo.checkout_result? result
---@return orch.error? err
function repo.checkout(options) end

---@class (exact) orch.repo.info_options
---@field dir? string default the working directory
---@field dirty? boolean is something changed? default false
---@field timeout? number seconds, default 60
---@field [string] orch.UnknownOption

---What repository the directory is in, looking upwards. Errors: missing (the directory is not
---there, or in no repository), timeout, failed.
---@param options orch.repo.info_options
---@return orch.repo.info_result? info
---@return orch.error? err
function repo.info(options) end

return repo
