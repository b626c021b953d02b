-- Keeps secrets out of what is shown. The patterns live in C, where secrets can be opened.
return { new = require "orch.secret".masker }
