"""What the two HTTP services share: a port of their own choice, a record of
every request, and faults that a test asks for.

On the port of either service:

  GET    /_control/requests   what was received, oldest first
  DELETE /_control/requests   forget it
  POST   /_control            queue a fault (see Fault), or {"clock": seconds}
                              to let the service's clock differ from the true one
  DELETE /_control            forget the faults and set the clock right
"""

import json
import os
import select
import socket
import struct
import sys
import threading
import time
from collections import deque
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RECORDS_MAX = 1000          # requests remembered
BODY_KEPT_MAX = 64 * 1024   # bytes of one request's body remembered
LINE_MAX = 64 * 1024        # a line of a chunked body's framing
DRAIN_MAX = 64 << 20        # bytes of an unwanted body read before closing
IDLE_SECONDS = 300          # a connection on which nothing comes


class BadRequest(Exception):
    """The bytes on the wire are not HTTP; the connection cannot go on."""


class Fault:
    """An answer given in place of, or before, the true one.

    times   how many requests it is for (1)
    match   only requests whose subject (operation or path) contains this
    delay   seconds of silence before anything else happens
    drop    "close" the connection, "reset" it, or "truncate" the answer's body
    after   bytes of the request's body read before it is dropped (all)
    status  answer this; without it, and without drop, the true answer follows
    body    a string, or a value sent as JSON
    headers more headers of the answer
    """

    KEYS = ("times", "match", "delay", "drop", "after", "status", "body", "headers")
    DROPS = (None, "close", "reset", "truncate")

    def __init__(self, wish):
        unknown = sorted(set(wish) - set(self.KEYS))
        if unknown:
            raise ValueError("unknown %s; known: %s"
                             % (", ".join(unknown), ", ".join(self.KEYS)))
        self.times = int(wish.get("times", 1))
        self.match = wish.get("match", "")
        self.delay = float(wish.get("delay", 0))
        self.drop = wish.get("drop")
        self.after = wish.get("after")
        self.status = wish.get("status")
        self.body = wish.get("body", "")
        self.headers = wish.get("headers", {})
        if self.drop not in self.DROPS:
            raise ValueError('drop is "close", "reset" or "truncate"')


class Endpoint(ThreadingHTTPServer):
    """A server on a free port, of the loopback unless told otherwise."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handler, address="127.0.0.1"):
        super().__init__((address, 0), handler)
        self.lock = threading.Lock()
        self.records = deque(maxlen=RECORDS_MAX)
        self.received = 0
        self.faults = []
        self.clock = 0.0

    @property
    def root(self):
        return "http://127.0.0.1:%d" % self.server_address[1]

    def now(self):
        return time.time() + self.clock

    def record(self, entry):
        with self.lock:
            self.received += 1
            entry["n"] = self.received
            self.records.append(entry)

    def fault_for(self, subject):
        with self.lock:
            for fault in self.faults:
                if fault.match in subject:
                    fault.times -= 1
                    if fault.times <= 0:
                        self.faults.remove(fault)
                    return fault
        return None

    def announce(self, path):
        """Writes the port to a file; its existence says that we listen."""
        with open(path + ".new", "w") as file:
            file.write("%d\n" % self.server_address[1])
        os.rename(path + ".new", path)

    def handle_error(self, request, client_address):
        kind = sys.exc_info()[0]
        if not issubclass(kind, (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection. A service overrides `subject` and `answer`."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    json_type = "application/json"
    entry = None            # of the request at hand, once it is understood

    def handle_one_request(self):
        """As other servers: to a client that begins with TLS it says what is wrong."""
        if self.rfile.peek(1)[:1] == b"\x16":
            self.close_connection = True
            self.wfile.write(b"HTTP/1.0 400 Bad Request\r\n\r\nthis is no TLS server\n")
            return
        super().handle_one_request()

    def subject(self):
        return self.path

    def answer(self):
        raise NotImplementedError

    def serve(self):
        self.entry = None
        self.unread = self.framing()
        try:
            if self.path.split("?")[0].split("/")[1:2] == ["_control"]:
                return self.control()
            self.entry = {
                "time": self.server.now(), "method": self.command,
                "path": self.path, "subject": self.subject(),
                "headers": [list(pair) for pair in self.headers.items()],
                "status": None,
            }
            self.server.record(self.entry)
            fault = self.server.fault_for(self.subject())
            if not (fault and self.fail(fault)):
                self.answer()
        except BadRequest as why:
            self.close_connection = True
            self.reply(400, str(why))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = serve

    # The request's body.

    def framing(self):
        """True while the body has not been read."""
        return ("chunked" in self.headers.get("Transfer-Encoding", "").lower()
                or self.headers.get("Content-Length", "0").strip() != "0")

    def body_blocks(self):
        """The body as it comes, freed of its framing; nothing a second time."""
        if not self.unread:
            return iter(())
        self.unread = False
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self.chunks()
        try:
            return self.exactly(int(self.headers["Content-Length"]))
        except ValueError:
            raise BadRequest("Content-Length is not a number")

    def exactly(self, left):
        while left > 0:
            block = self.rfile.read1(min(left, 65536))
            if not block:
                raise ConnectionResetError("the body ended early")
            left -= len(block)
            yield block

    def chunks(self):
        while True:
            line = self.rfile.readline(LINE_MAX)
            try:
                size = int(line.split(b";")[0], 16)
            except ValueError:
                raise BadRequest("a chunk has no size")
            if size == 0:
                break
            yield from self.exactly(size)
            if self.rfile.readline(LINE_MAX) not in (b"\r\n", b"\n"):
                raise BadRequest("a chunk has a wrong size")
        while self.rfile.readline(LINE_MAX) not in (b"\r\n", b"\n", b""):
            pass

    def body(self, limit):
        """The whole body, or None when it is larger than the limit."""
        kept = bytearray()
        for block in self.body_blocks():
            kept += block
            if len(kept) > limit:
                self.close_connection = True
                return None
        if self.entry is not None:
            text = bytes(kept[:BODY_KEPT_MAX]).decode("utf-8", "replace")
            self.entry["body"] = text
        return bytes(kept)

    def take(self, count):
        """Reads at least that much of the body, and leaves the rest."""
        for block in self.body_blocks():
            count -= len(block)
            if count <= 0:
                break

    def drain(self):
        """Reads what nobody wants, so that the answer is not lost to a reset."""
        left = DRAIN_MAX
        for block in self.body_blocks():
            left -= len(block)
            if left < 0:
                self.close_connection = True
                return

    # The answer.

    def reply(self, status, body="", headers=(), truncate=False):
        if not isinstance(body, (str, bytes)):
            body = json.dumps(body)
            headers = {"Content-Type": self.json_type, **dict(headers)}
        data = body.encode() if isinstance(body, str) else body
        self.drain()
        if truncate:
            self.close_connection = True
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[:len(data) // 2] if truncate else data)

    def send_response(self, status, message=None):
        if self.entry is not None:
            self.entry["status"] = status
        super().send_response(status, message)

    def date_time_string(self, timestamp=None):
        if timestamp is None:
            timestamp = self.server.now()
        return formatdate(timestamp, usegmt=True)

    def wait_for_goodbye(self):
        """Silence, until the client has had enough."""
        while True:
            select.select([self.connection], [], [])
            if not self.connection.recv(4096):
                break
        self.close_connection = True

    # Faults and control.

    def fail(self, fault):
        """Returns True if nothing more is to be said."""
        if fault.delay:
            time.sleep(fault.delay)
        if fault.status:
            self.reply(fault.status, fault.body, fault.headers,
                       fault.drop == "truncate")
            return True
        if fault.drop:
            self.drain() if fault.after is None else self.take(int(fault.after))
            self.close_connection = True
            if fault.drop == "reset":
                self.reset()
            return True
        return False

    def reset(self):
        """Closes with RST: nothing may be sent before, not even a FIN."""
        self.connection.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def control(self):
        server = self.server
        what = (self.command, self.path)
        if what == ("GET", "/_control/requests"):
            with server.lock:
                records = [dict(entry) for entry in server.records]
            return self.reply(200, {"requests": records})
        if what == ("DELETE", "/_control/requests"):
            with server.lock:
                server.records.clear()
            return self.reply(200, {})
        if what == ("DELETE", "/_control"):
            with server.lock:
                server.faults.clear()
                server.clock = 0.0
            return self.reply(200, {})
        if what == ("POST", "/_control"):
            return self.control_wish(self.body(1 << 20) or b"")
        return self.reply(404, {"message": "see endpoint.py"})

    def control_wish(self, body):
        server = self.server
        try:
            wish = json.loads(body)
            clock = wish.pop("clock", None)
            fault = Fault(wish) if wish else None
        except (ValueError, TypeError, AttributeError) as why:
            return self.reply(400, {"message": str(why)})
        with server.lock:
            if clock is not None:
                server.clock = float(clock)
            if fault:
                server.faults.append(fault)
        return self.reply(200, {})

    def log_message(self, format, *args):
        sys.stderr.write("%s %s\n" % (self.log_date_time_string(), format % args))
