---@meta orch.fs

---Files of this machine. Only `fs.remove` waits. Errors, where nothing else is said: missing,
---conflict (something else is there), io (permission, disk).
local fs = {}

---A FIFO or socket is an error of kind conflict: nothing here waits for another program. A pipe
---that orch itself was given, as a shell names it for `<(command)`, is read, and waited for 10
---seconds at a time.
---@param path string
---@param max? integer bytes; a larger file is an error of kind limit; default 64 MiB
---@return string? bytes
---@return orch.error? err
function fs.read(path, max) end

---@class (exact) orch.fs.write_options
---@field mode? integer permissions of a new file; default: as the umask has it
---@field durable? boolean on the disk before it returns; default false
---@field [string] orch.UnknownOption

---Writes a file whole or not at all: beside it first, then renamed. A device such as /dev/null is
---written to; a FIFO or directory is an error of kind conflict.
---@param path string
---@param bytes string|number|orch.Secret
---@param options? orch.fs.write_options
---@return true? good
---@return orch.error? err
function fs.write(path, bytes, options) end

---Adds to a file; makes it when it is not there.
---@param path string
---@param bytes string|number|orch.Secret
---@param options? orch.fs.write_options
---@return true? good
---@return orch.error? err
function fs.append(path, bytes, options) end

---Makes a directory and every parent that it lacks; one that is there is good.
---@param path string
---@param mode? integer default 0777 less the umask
---@return true? good
---@return orch.error? err
function fs.make_dir(path, mode) end

---@class orch.fs.stat
---@field type "file"|"directory"|"link"|"other"
---@field size integer bytes
---@field mode integer permissions
---@field uid integer
---@field gid integer
---@field mtime number seconds since 1970, with a fraction

---Looks at a path itself, not at what a link points to.
---@param path string
---@return orch.fs.stat? stat
---@return orch.error? err
function fs.stat(path) end

---@param path string
---@return string[]? names sorted by their bytes, without "." and ".."; at most 1,000,000
---@return orch.error? err
function fs.list(path) end

---Renames within one file system; what was at `to` is gone.
---@param from string
---@param to string
---@return true? good
---@return orch.error? err
function fs.rename(from, to) end

---@param target string what the link says
---@param path string where the link is made
---@return true? good
---@return orch.error? err
function fs.symlink(target, path) end

---@param path string
---@param mode integer
---@return true? good
---@return orch.error? err
function fs.chmod(path, mode) end

---@param path string
---@return string? path absolute, without links, "." and ".."
---@return orch.error? err
function fs.real_path(path) end

---@return string? path the working directory of orch
---@return orch.error? err
function fs.cwd() end

---@param prefix string of its path, to which six characters are added
---@return string? path of a new directory, mode 0700
---@return orch.error? err
function fs.make_temp(prefix) end

---Cleans two paths put together, by their text alone; an absolute second one stands alone.
---@param base string
---@param path string
---@return string
function fs.join(base, path) end

---@param pattern string as Go's filepath.Match has it, and `**` for any number of directories
---@param path string
---@return boolean? matches
---@return orch.error? err usage: a malformed pattern
function fs.matches(pattern, path) end

---Waits: deletes a file or a whole tree, never through links. What is not there is good.
---@param path string
---@return true? good
---@return orch.error? err
function fs.remove(path) end

---Locks a file, made when it is not there, against all others who lock it so; it then names the
---holder's process. Held until released, collected or the end of the program, however it ends.
---@param path string
---@return orch.fs.lock? lock
---@return orch.error? err conflict: it is locked
function fs.lock(path) end

---@param count integer bytes of the system's generator, 0 to 256
---@return string? bytes
---@return orch.error? err
function fs.random(count) end

---@return table<string, string> environment of orch
function fs.environment() end

---@class orch.fs.lock: userdata
local lock = {}

---Also done by <close>; safe twice.
function lock:release() end

return fs
