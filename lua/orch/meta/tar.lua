---@meta orch.tar
-- Tar archives: packing trees, unpacking what strangers made, streaming build contexts. Names are
-- bytes.

local tar = {}

---@class (exact) orch.tar.pack_options
---@field root string directory that the paths are relative to
---@field paths string[] patterns of Go's filepath.Glob or plain paths; a directory brings its whole tree; "." is all; one that matches nothing adds nothing
---@field file string the archive; written beside it and renamed, so that it is there whole or not at all
---@field compression? "gzip"|"zstd"|"none" default "gzip"
---@field level? integer of the compression: gzip 1 to 9, default 6; zstd 1 to 19, default 3; 0 = default
---@field mtime? integer time of all entries in seconds since 1970; default: each its own
---@field [string] orch.UnknownOption

---@class orch.tar.packed
---@field digest string "sha256:…" of the file
---@field diff_id string "sha256:…" of the tar in it, uncompressed
---@field size integer bytes of the file
---@field entries integer directories included
---@field bytes integer sum of the files' sizes
---@field paths string[] what is no directory, sorted by bytes

---Packs paths. Modes, symbolic and hard links are kept, owners become 0:0; the same tree gives the
---same bytes. A path through a symbolic link is packed as if that were a directory, if it stays
---below root; a link that is selected itself stays one.
---Errors: missing (no root; nothing matched), usage (a malformed pattern, one that leads out of
---root), conflict (a file changed while it was being read), failed (a socket, fifo or device; a
---link out of root), limit (1,000,000 selected paths, 1,000 directories deep, 10,000,000 entries),
---io, cancelled.
---@param options orch.tar.pack_options
---@return orch.tar.packed? packed
---@return orch.error? err
function tar.pack(options) end

---@class (exact) orch.tar.unpack_options
---@field file string a tar, plain or in gzip or zstd
---@field into string directory that must be there
---@field entries_max? integer more is an error (limit), and so are more directories in the entries' names that are no entries; default 1,000,000
---@field bytes_max? integer sum of the files' sizes; more is an error (limit); default 64 GiB, for a compressed file 4 GiB or 1,000 times its size if that is less
---@field list? boolean give the paths; default false
---@field [string] orch.UnknownOption

---@class orch.tar.unpacked
---@field entries integer
---@field bytes integer written to files
---@field paths? string[] with list: what is no directory, sorted by bytes, each once

---Unpacks an archive that need not be trusted: nothing outside `into` is made, changed or linked
---to. A later entry replaces what an earlier one or an earlier archive put there. Owners are those
---of the process, set-id bits are dropped. On an error what was unpacked so far stays. Errors:
---missing (no file, no directory), remote (malformed or truncated), failed (an entry that leads out
---of `into`, a device, fifo or socket), limit, io, cancelled.
---@param options orch.tar.unpack_options
---@return orch.tar.unpacked? unpacked
---@return orch.error? err
function tar.unpack(options) end

---@class (exact) orch.tar.list_options
---@field file string a tar, plain or in gzip or zstd
---@field entries_max? integer more is an error (limit); default 1,000,000
---@field bytes_max? integer as for tar.unpack
---@field [string] orch.UnknownOption

---@class orch.tar.entry
---@field path string as the archive has it
---@field type "file"|"directory"|"symlink"|"hardlink"|"fifo"|"char"|"block"|"socket"
---@field size integer
---@field mode integer permission bits
---@field linkname? string of a symbolic or hard link

---The entries of an archive in its order. Errors: missing, remote (malformed or truncated), limit,
---io, cancelled.
---@param options orch.tar.list_options
---@return orch.tar.entry[]? entries
---@return orch.error? err
function tar.list(options) end

---@class orch.tar.checked
---@field entries integer
---@field bytes integer sum of the files' sizes

---Reads an archive to its end, so that one that is damaged, cut short or too large is known before
---anything is unpacked. Errors as of tar.list.
---@param options orch.tar.list_options
---@return orch.tar.checked? checked
---@return orch.error? err
function tar.check(options) end

---@class (exact) orch.tar.context_options
---@field dir string the build context
---@field dockerfile? string path relative to dir; default "Dockerfile"; sent even when excluded
---@field dockerfile_text? string sent as the Dockerfile in place of the file, which then need not exist
---@field ignore? string patterns as in a .dockerignore; default: those of `<dockerfile>.dockerignore` (not with classic), else of `.dockerignore`
---@field classic? boolean for the builder without BuildKit; default false
---@field [string] orch.UnknownOption

---@class orch.tar.context
local context = {}

---The descriptor to read the tar from, once; the caller closes it (http.request does).
---@return integer fd
function context:fd() end

---@class orch.tar.sent
---@field files integer what is no directory
---@field bytes integer
---@field excluded integer paths left out; a directory that was not entered counts once

---Waits until all was written. Errors: conflict (a file changed while it was being read), io (also:
---the reader has gone), limit, cancelled. After an error what was sent is no whole archive.
---@return orch.tar.sent? sent
---@return orch.error? err
function context:wait() end

---Asks it to end; so does <close>, and the end of the task that made it.
function context:cancel() end

---Streams a build context as an uncompressed tar. Owners are 0:0, modes and times kept, sockets
---left out. Errors: missing (dir, Dockerfile: names similar files), usage (a pattern that Docker
---refuses: names file and line), limit, io.
---@param options orch.tar.context_options
---@return orch.tar.context? context
---@return orch.error? err
function tar.context(options) end

---@class orch.tar.ignore
local ignore = {}

---Is the path excluded, going by the patterns alone? A directory that is may still be sent, for the
---sake of something below it.
---@param path string relative to the context
---@param is_dir? boolean makes no difference: no pattern is for directories only
---@return boolean excluded
function ignore:excluded(path, is_dir) end

---Reads the text of a .dockerignore, with the meaning it has for BuildKit. Errors: usage, with the
---line; limit.
---@param text string
---@return orch.tar.ignore? ignore
---@return orch.error? err
function tar.ignore(text) end

return tar
