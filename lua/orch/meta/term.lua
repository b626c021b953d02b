---@meta orch.term

---Terminals: their size, and text that they show but do not obey. Never waits.
---@class orch.term
local term = {}

---Asked for afresh, it follows a window that is resized: no signal is needed.
---@param fd integer
---@return integer? columns nil when fd is no terminal; 0 = the terminal does not know
---@return integer? rows
function term.size(fd) end

---@param fd integer
---@return boolean
function term.is_tty(fd) end

---The text with nothing in it that a terminal would obey. Control sequences (ECMA-48 CSI) are taken
---out. Shown by number are other control characters, C1 too, and bytes that are no UTF-8 (`\x07`);
---line separators, what turns text around (bidirectional marks and overrides) and what is unseen
---(blanks of no width, tags) (`\u{202e}`). Joiners and variation selectors stay, and tabs. Raises
---for more than 16 MiB.
---@param text string
---@param colours? boolean keep sequences of colour and weight, ended by a reset; never blinking or concealing
---@return string
function term.printable(text, colours) end

---The start of a printable text that fits; its last column is `…` when something is left out. Tabs
---become spaces. Characters are measured one by one, as terminals do: East Asian wide ones and
---emoji take two columns.
---@param text string
---@param columns integer
---@return string text
---@return integer columns that it takes
function term.fit(text, columns) end

---What the engine writes when a second Ctrl-C ends it at once, so that the screen is left in order.
---@param fd integer
---@param text? string at most 4096 bytes; nil takes it back
function term.parting(fd, text) end

---@class (exact) orch.term.read_line_options
---@field hidden? boolean what is typed is not shown
---@field [string] orch.UnknownOption

---Waits for a line that a person types at the standard input; the terminal edits it, up to 4096
---bytes. Cancelled while it waits, it takes nothing.
---
---Errors: `missing` when the standard input is no terminal, or has ended.
---@param options? orch.term.read_line_options
---@return string? line without its end
---@return orch.error? err
function term.read_line(options) end

---Waits for the next piece of the standard input, of any size, whatever it is: a terminal, a pipe,
---a file. Nothing at its end. Cancelled while it waits, it takes nothing.
---
---Errors: `io`.
---@return string? piece at most 16 KiB
---@return orch.error? err
function term.read() end

---Lends the terminal of the standard input to a program in the foreground (`proc.start`): until it
---is given back, Ctrl-C and Ctrl-\ there are not for orch. Then it is as it was, whatever the
---program has made of it.
---
---Errors: `missing` when the standard input is no terminal.
---@return orch.term.lease? lease
---@return orch.error? err
function term.lend() end

---Makes the terminal of the standard input pass on each key as it is typed, Ctrl-C too, and show
---nothing by itself, until it is given back.
---
---Errors: `missing` when the standard input is no terminal.
---@return orch.term.lease? lease
---@return orch.error? err
function term.raw() end

---@class orch.term.lease: userdata
local lease = {}

---Gives the terminal back as it was. Safe twice; also done by <close>, and when the program ends.
function lease:close() end

---Waits until the window has been resized since the last call, or the terminal is given back.
function lease:resized() end

---Has all that was printed arrived? What is still held back is written first; a write that failed
---before counts. A pipe whose reader has gone has had enough: that is no error.
---
---Errors: `io`.
---@return true? good
---@return orch.error? err
function term.flush() end

return term
