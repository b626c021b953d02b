#!/usr/bin/python3
"""Runs a program in a terminal and tells what a person would see.

  screen.py COLUMNSxROWS "ACTION..." -- PROGRAM ARGS...

Actions, in order, separated by blanks: wait:TEXT until the screen shows it (_ stands for a blank), type:KEYS (as in
Python strings), size:COLUMNSxROWS, snap:NAME, pause:SECONDS, deaf:SECONDS (reads nothing), kill:NUMBER. Prints JSON:
{screen, snaps, all (with what has scrolled away), cursor_shown, wraps, code, bytes, colours, echo, seconds}; screen lines have no trailing blanks.
"""
import codecs, fcntl, json, os, pty, re, select, signal, struct, sys, termios, time
import pyte

LIMIT = 60  # seconds


def size_of(text):
    columns, rows = text.split("x")
    return int(columns), int(rows)


class Terminal:
    def __init__(self, columns, rows, argv):
        self.screen = pyte.HistoryScreen(columns, rows, history=100000)
        self.stream = pyte.ByteStream(self.screen)
        self.bytes, self.colours, self.start = 0, 0, time.monotonic()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            # the size must be there before the program asks for it
            fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execvp(argv[0], argv)

    def feed(self, seconds):
        """Reads for so long at most; False at the end."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b""
        self.bytes += len(data)
        self.colours += len(re.findall(rb"\x1b\[[0-9;]*m", data))
        # pyte takes private modes with '?' only, and none with a space: drop the synchronisation marks
        self.stream.feed(re.sub(rb"\x1b\[\?2026[hl]", b"", data))
        return bool(data)

    def lines(self):
        return [line.rstrip() for line in self.screen.display]

    def history(self):
        columns = self.screen.columns
        above = ["".join(line[x].data for x in range(columns)).rstrip() for line in self.screen.history.top]
        return above + self.lines()

    def resize(self, columns, rows):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen.resize(rows, columns)


def main():
    columns, rows = size_of(sys.argv[1])
    actions, argv = sys.argv[2].split(), sys.argv[4:]
    terminal, snaps, alive = Terminal(columns, rows, argv), {}, True
    for action in actions:
        kind, _, value = action.partition(":")
        if kind == "wait":
            text = value.replace("_", " ")
            while alive and not any(text in line for line in terminal.lines()):
                alive = terminal.feed(1) and time.monotonic() - terminal.start < LIMIT
        elif kind == "type":
            os.write(terminal.fd, codecs.decode(value.replace("_", " "), "unicode_escape").encode())
        elif kind == "size":
            terminal.resize(*size_of(value))
        elif kind == "snap":
            snaps[value] = terminal.lines()
        elif kind == "pause":
            until = time.monotonic() + float(value)
            while alive and time.monotonic() < until:
                alive = terminal.feed(0.01)
        elif kind == "deaf":
            time.sleep(float(value))
        elif kind == "kill":
            os.kill(terminal.pid, int(value))
        else:
            sys.exit("unknown action " + action)
    while alive and time.monotonic() - terminal.start < LIMIT:
        alive = terminal.feed(1)
    if alive:
        os.kill(terminal.pid, signal.SIGKILL)
    status = os.waitpid(terminal.pid, 0)[1]
    mode = terminal.screen.mode
    try:
        echo = bool(termios.tcgetattr(terminal.fd)[3] & termios.ECHO)
    except termios.error:
        echo = None
    json.dump({
        "screen": terminal.lines(), "all": terminal.history(), "snaps": snaps, "code": os.waitstatus_to_exitcode(status),
        "cursor_shown": not terminal.screen.cursor.hidden, "cursor_row": terminal.screen.cursor.y + 1,
        "wraps": pyte.modes.DECAWM in mode, "bytes": terminal.bytes, "colours": terminal.colours, "seconds": time.monotonic() - terminal.start,
        "late": alive, "echo": echo}, sys.stdout)


main()
