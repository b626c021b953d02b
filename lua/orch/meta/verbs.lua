---@meta

-- Written by `orch verbs --stub`; a spec compares it with the verbs.

---@class (exact) orch.verb.ask
---@field enum? any[]
---@field id? string|orch.Secret
---@field max? number
---@field min? number
---@field name? string|orch.Secret
---@field pattern? string|orch.Secret
---@field question? string|orch.Secret
---@field timeout? number|string|orch.Secret
---@field type? "approval"|"code"|"string"|"integer"|"number"|"boolean" default "approval"
---@field when? "always"|"on_fail"|"on_success" default "on_success"
---@field [integer]? string|orch.Secret id

---@class (exact) orch.verb.attach_workspace
---@field at? string|orch.Secret default "."
---@field name? string|orch.Secret
---@field timeout? number|string|orch.Secret
---@field when? "always"|"on_fail"|"on_success" default "on_success"
---@field [integer]? string|orch.Secret at

---@class (exact) orch.verb.checkout
---@field name? string|orch.Secret
---@field password? string|orch.Secret
---@field path? string|orch.Secret default "."
---@field ref? string|orch.Secret
---@field sha? string|orch.Secret
---@field submodules? boolean default false
---@field timeout? number|string|orch.Secret
---@field url? string|orch.Secret
---@field user? string|orch.Secret
---@field when? "always"|"on_fail"|"on_success" default "on_success"
---@field [integer]? string|orch.Secret url

---@class (exact) orch.verb.docker_build
---@field args? table default {}
---@field auth? table a login or a list of them, for the images that FROM names
---@field cache_from? any[] default {}
---@field classic? boolean default false; the builder without BuildKit
---@field context? string|orch.Secret default "."
---@field dockerfile? string|orch.Secret default "Dockerfile"; path in the context; with a line break, the text
---@field inline_cache? boolean default false
---@field labels? table default {}
---@field name? string|orch.Secret
---@field network? string|orch.Secret
---@field no_cache? boolean default false
---@field output? string|orch.Secret FILE.tar or a directory for the result's files; no image is made
---@field platform? string|orch.Secret
---@field pull? boolean default false
---@field secrets? table default {}; { id = job.secrets.NAME | { file = path } }
---@field ssh? boolean|string|orch.Secret|table true: $SSH_AUTH_SOCK; a socket's path; { id = path }
---@field tags? any[] default {}
---@field target? string|orch.Secret
---@field timeout? number|string|orch.Secret
---@field when? "always"|"on_fail"|"on_success" default "on_success"

---@class (exact) orch.verb.docker_login
---@field name? string|orch.Secret
---@field password
---@field registry? string|orch.Secret default "docker.io"
---@field timeout? number|string|orch.Secret
---@field username string|orch.Secret
---@field when? "always"|"on_fail"|"on_success" default "on_success"
---@field write_config? boolean default false; also where the docker command line looks
---@field [integer]? string|orch.Secret registry

---@class (exact) orch.verb.docker_pull
---@field all_tags? boolean default false; images names repositories: pull all that they have
---@field auth? table a login; default: the one that is kept for the host
---@field images? string|orch.Secret|any[] HOST/NAME:TAG or HOST/NAME@DIGEST
---@field name? string|orch.Secret
---@field platform? string|orch.Secret OS/ARCHITECTURE
---@field timeout? number|string|orch.Secret
---@field when? "always"|"on_fail"|"on_success" default "on_success"
---@field [integer]? string|orch.Secret|any[] images

---@class (exact) orch.verb.docker_push
---@field all_tags? boolean default false; tags names repositories: push all that they have here
---@field auth? table a login; default: the one that is kept for the host
---@field name? string|orch.Secret
---@field tags? string|orch.Secret|any[] HOST/NAME:TAG
---@field timeout? number|string|orch.Secret
---@field when? "always"|"on_fail"|"on_success" default "on_success"
---@field [integer]? string|orch.Secret|any[] tags

---@class (exact) orch.verb.ecr_ensure_repository
---@field catalog? table default {}
---@field name? string|orch.Secret
---@field repository? string|orch.Secret
---@field timeout? number|string|orch.Secret
---@field when? "always"|"on_fail"|"on_success" default "on_success"
---@field [integer]? string|orch.Secret repository

---@class (exact) orch.verb.ecr_login
---@field name? string|orch.Secret
---@field registry? string|orch.Secret default "public.ecr.aws"
---@field timeout? number|string|orch.Secret
---@field when? "always"|"on_fail"|"on_success" default "on_success"
---@field [integer]? string|orch.Secret registry

---@class (exact) orch.verb.export_vars
---@field file? string|orch.Secret
---@field name? string|orch.Secret
---@field set? table default {}
---@field timeout? number|string|orch.Secret
---@field when? "always"|"on_fail"|"on_success" default "on_success"
---@field [integer]? string|orch.Secret file

---@class (exact) orch.verb.http
---@field body? string|orch.Secret
---@field body_max? integer default 16777216
---@field headers? table default {}
---@field method? string|orch.Secret
---@field name? string|orch.Secret
---@field redirects? integer default 0
---@field timeout? number|string|orch.Secret
---@field url? string|orch.Secret
---@field when? "always"|"on_fail"|"on_success" default "on_success"
---@field [integer]? string|orch.Secret url

---@class (exact) orch.verb.image_exists
---@field auth? table a login; default: the one that is kept for the host
---@field image? string|orch.Secret
---@field name? string|orch.Secret
---@field remote? boolean default false; ask the registry
---@field timeout? number|string|orch.Secret
---@field when? "always"|"on_fail"|"on_success" default "on_success"
---@field [integer]? string|orch.Secret image

---@class (exact) orch.verb.image_inspect
---@field image? string|orch.Secret
---@field name? string|orch.Secret
---@field timeout? number|string|orch.Secret
---@field when? "always"|"on_fail"|"on_success" default "on_success"
---@field [integer]? string|orch.Secret image

---@class (exact) orch.verb.image_load
---@field file? string|orch.Secret
---@field name? string|orch.Secret
---@field timeout? number|string|orch.Secret
---@field when? "always"|"on_fail"|"on_success" default "on_success"
---@field [integer]? string|orch.Secret file

---@class (exact) orch.verb.image_remove
---@field force? boolean default false
---@field images? string|orch.Secret|any[]
---@field name? string|orch.Secret
---@field timeout? number|string|orch.Secret
---@field when? "always"|"on_fail"|"on_success" default "on_success"
---@field [integer]? string|orch.Secret|any[] images

---@class (exact) orch.verb.image_retag
---@field auth? table a login; default: the one that is kept for the host
---@field name? string|orch.Secret
---@field source string|orch.Secret HOST/NAME:TAG or HOST/NAME@DIGEST
---@field tags string|orch.Secret|any[] tags of the same repository
---@field timeout? number|string|orch.Secret
---@field when? "always"|"on_fail"|"on_success" default "on_success"

---@class (exact) orch.verb.image_save
---@field file string|orch.Secret
---@field images string|orch.Secret|any[]
---@field name? string|orch.Secret
---@field timeout? number|string|orch.Secret
---@field when? "always"|"on_fail"|"on_success" default "on_success"

---@class (exact) orch.verb.image_tag
---@field name? string|orch.Secret
---@field source string|orch.Secret
---@field tags string|orch.Secret|any[]
---@field timeout? number|string|orch.Secret
---@field when? "always"|"on_fail"|"on_success" default "on_success"

---@class (exact) orch.verb.now
---@field name? string|orch.Secret
---@field timeout? number|string|orch.Secret
---@field when? "always"|"on_fail"|"on_success" default "on_success"

---@class (exact) orch.verb.persist_to_workspace
---@field name? string|orch.Secret
---@field paths any[]
---@field root? string|orch.Secret default "."
---@field timeout? number|string|orch.Secret
---@field when? "always"|"on_fail"|"on_success" default "on_success"

---@class (exact) orch.verb.random
---@field high? integer
---@field low? integer
---@field name? string|orch.Secret
---@field timeout? number|string|orch.Secret
---@field when? "always"|"on_fail"|"on_success" default "on_success"

---@class (exact) orch.verb.read
---@field max? integer default 67108864
---@field name? string|orch.Secret
---@field path? string|orch.Secret
---@field timeout? number|string|orch.Secret
---@field when? "always"|"on_fail"|"on_success" default "on_success"
---@field [integer]? string|orch.Secret path

---@class (exact) orch.verb.run
---@field auto_rerun_delay? number|string|orch.Secret default 0
---@field background? boolean default false
---@field capture? boolean default false
---@field check? boolean default true
---@field command? string|orch.Secret|any[]
---@field environment? table default {}
---@field max_auto_reruns? integer default 0
---@field name? string|orch.Secret
---@field no_output_timeout? string|orch.Secret|number default "10m"
---@field ready? table
---@field secrets? any[] default {}
---@field shell? string|orch.Secret|any[]
---@field timeout? number|string|orch.Secret
---@field when? "always"|"on_fail"|"on_success" default "on_success"
---@field working_directory? string|orch.Secret default "."
---@field [integer]? string|orch.Secret|any[] command

---@class (exact) orch.verb.setup_remote_docker
---@field name? string|orch.Secret
---@field timeout? number|string|orch.Secret
---@field when? "always"|"on_fail"|"on_success" default "on_success"

---@class (exact) orch.verb.sleep
---@field name? string|orch.Secret
---@field seconds? number
---@field timeout? number|string|orch.Secret
---@field when? "always"|"on_fail"|"on_success" default "on_success"
---@field [integer]? number seconds

---@class (exact) orch.verb.write
---@field append? boolean default false
---@field mode? integer
---@field name? string|orch.Secret
---@field path string|orch.Secret
---@field text string|orch.Secret
---@field timeout? number|string|orch.Secret
---@field when? "always"|"on_fail"|"on_success" default "on_success"

---@class orch.Job
---@field ask fun(self: orch.Job, options?: orch.verb.ask|string|orch.Secret): any Asks a person: an approval, a value, a code. A run that nobody answers is put on hold.
---@field attach_workspace fun(self: orch.Job, options?: orch.verb.attach_workspace|string|orch.Secret): any Unpacks what the jobs before this one have persisted.
---@field checkout fun(self: orch.Job, options?: orch.verb.checkout|string|orch.Secret): any Checks the project out (or another repository) into the working directory.
---@field docker_build fun(self: orch.Job, options?: orch.verb.docker_build): any Builds an image from a directory of the job and gives it all the tags.
---@field docker_login fun(self: orch.Job, options?: orch.verb.docker_login|string|orch.Secret): any Logs in to a registry for the rest of the job; no file is written unless asked.
---@field docker_pull fun(self: orch.Job, options?: orch.verb.docker_pull|string|orch.Secret|any[]): any Pulls images by name; the result lists ids and digests.
---@field docker_push fun(self: orch.Job, options?: orch.verb.docker_push|string|orch.Secret|any[]): any Pushes each tag by its name; the result lists the digests.
---@field ecr_ensure_repository fun(self: orch.Job, options?: orch.verb.ecr_ensure_repository|string|orch.Secret): any Makes an ECR Public repository unless it is there.
---@field ecr_login fun(self: orch.Job, options?: orch.verb.ecr_login|string|orch.Secret): any Gets a login for an ECR Public registry; give the result to docker_push as auth.
---@field export_vars fun(self: orch.Job, options?: orch.verb.export_vars|string|orch.Secret): any Reads a file of shell exports, adds to it, and returns all its variables.
---@field http fun(self: orch.Job, options?: orch.verb.http|string|orch.Secret): any Makes an HTTP request; the result is { status, headers, body }.
---@field image_exists fun(self: orch.Job, options?: orch.verb.image_exists|string|orch.Secret): any Is an image here, or in its registry? Its id or digest, or false.
---@field image_inspect fun(self: orch.Job, options?: orch.verb.image_inspect|string|orch.Secret): any What the Engine API says of an image that is here: Id, RepoTags, Config and more.
---@field image_load fun(self: orch.Job, options?: orch.verb.image_load|string|orch.Secret): any Reads images from an archive in the job's files; the result lists their names.
---@field image_remove fun(self: orch.Job, options?: orch.verb.image_remove|string|orch.Secret|any[]): any Takes names of images away, and with the last one the image; absent is good.
---@field image_retag fun(self: orch.Job, options?: orch.verb.image_retag): any Gives an image in its registry other tags; nothing is pulled.
---@field image_save fun(self: orch.Job, options?: orch.verb.image_save): any Writes images into an archive in the job's files, as `docker save` does.
---@field image_tag fun(self: orch.Job, options?: orch.verb.image_tag): any Gives an image other names.
---@field now fun(self: orch.Job, options?: orch.verb.now): any The time, in seconds since 1970; a resumed run gets the time that was recorded.
---@field persist_to_workspace fun(self: orch.Job, options?: orch.verb.persist_to_workspace): any Keeps files for the jobs after this one.
---@field random fun(self: orch.Job, options?: orch.verb.random): any A random number from 0 to 1, or a whole one from low to high; a resumed run gets what was recorded.
---@field read fun(self: orch.Job, options?: orch.verb.read|string|orch.Secret): any Reads a file of the job; the result is its bytes.
---@field run fun(self: orch.Job, options?: orch.verb.run|string|orch.Secret|any[]): any Runs a shell command, or a program with its arguments, and shows what it prints.
---@field setup_remote_docker fun(self: orch.Job, options?: orch.verb.setup_remote_docker): any Finds the docker daemon and gives its address to the steps that follow.
---@field sleep fun(self: orch.Job, options?: orch.verb.sleep|number): any Waits that many seconds.
---@field write fun(self: orch.Job, options?: orch.verb.write): any Writes a file of the job, whole or not at all; makes the directories it lacks.
