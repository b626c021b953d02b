std = "lua54"
self = false
max_line_length = false -- tests/tidy/style_spec.lua counts characters, not bytes
files["tests"] = { std = "lua54+busted", ignore = { "311" } } -- a result that a later line does not look at
files["tests/run.lua"] = { globals = { "arg" } }
files["lua/orch/meta"] = { ignore = { "211", "212", "214", "241" } } -- stubs: nothing uses what they declare
