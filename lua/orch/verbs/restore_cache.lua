-- Brings files kept by an earlier run: the key's, else the newest whose key begins so; or false.
local amount = require "orch.amount"
local caches = require "orch.caches"
local fs = require "orch.fs"
local verb = require "orch.verb"

return verb.define {
  options = {
    key = { "string", doc = "letters, digits and _ . + -" },
    files = { "list", default = {},
      doc =
      "a hash of these files is added to the key; without it the newest of the key is next best" },
    fallback = { "list", default = {}, doc = "beginnings of other keys that will do" },
    at = { "string", default = ".", doc = "the root that they were saved from" },
  },
  plan = function() return false end,
  returns = "{ key: string, exact: boolean }|false",
  run = function(job, o)
    local key, hashed = caches.key_of("restore_cache", job, o)
    local beginnings = hashed and { o.key .. "-" } or {}
    table.move(o.fallback, 1, #o.fallback, #beginnings + 1, beginnings)
    local found = caches.find(job, key, beginnings)
    if not found then
      job:log("no cache %s yet", key)
      return false
    end
    -- half of it would be worse than none
    local checked, failure = require "orch.tar".check { file = found.path }
    if not checked and failure.kind == "remote" then
      job:log("%s: %s; it is removed", found.key, failure.message)
      assert(fs.remove(found.path))
      return false
    end
    assert(checked, failure)
    assert(job.fs.make_dir(o.at))
    local unpacked = assert(job.fs.unpack { file = found.path, into = o.at })
    job:log("%s: %s, %s", found.key, amount.entries(unpacked.entries),
      amount.size(unpacked.bytes))
    return { key = found.key, exact = found.key == key }
  end,
}
