"""An HTTP server that does on demand what real ones do by accident. Prints its port, or "ready"."""
import argparse, socket, ssl, struct, threading, time
from urllib.parse import parse_qs, urlsplit

options = argparse.ArgumentParser()
options.add_argument("--unix")
options.add_argument("--cert")
options.add_argument("--key")
options.add_argument("--client-ca")
options = options.parse_args()

log, lock, connections = [], threading.Lock(), 0


class Gone(Exception):
    pass


class Connection:
    def __init__(self, sock, number):
        self.sock, self.number, self.ahead = sock, number, b""

    def more(self):
        data = self.sock.recv(1 << 16)
        if not data:
            raise Gone
        self.ahead += data

    def line(self):
        while b"\n" not in self.ahead:
            self.more()
        line, self.ahead = self.ahead.split(b"\n", 1)
        return line.rstrip(b"\r").decode("latin-1")

    def take(self, count):
        """The number of bytes taken, and their sum."""
        total = 0
        left = count
        while left > 0:
            if not self.ahead:
                self.more()
            piece, self.ahead = self.ahead[:left], self.ahead[left:]
            left -= len(piece)
            self.body += len(piece)
            if self.body <= 1 << 16:
                self.text += piece
            total += len(piece)
        return total

    def read_head(self):
        self.request = self.line()
        self.head = []
        while True:
            line = self.line()
            if not line:
                break
            self.head.append(line)
        self.fields = {n.strip().lower(): v.strip()
                       for n, _, v in (l.partition(":") for l in self.head)}
        with lock:
            log.append("\n".join([self.request] + self.head))

    def read_body(self):
        self.body, self.text = 0, b""
        if self.fields.get("transfer-encoding") == "chunked":
            while True:
                size = int(self.line(), 16)
                self.take(size)
                self.line()
                if size == 0:
                    return
        self.take(int(self.fields.get("content-length", 0)))

    def send(self, text):
        self.sock.sendall(text.encode("latin-1") if isinstance(text, str) else text)

    def answer(self, body=b"", status="200 OK", fields=()):
        if isinstance(body, str):
            body = body.encode()
        head = ["HTTP/1.1 " + status, "Content-Length: %d" % len(body)] + list(fields)
        self.send("\r\n".join(head) + "\r\n\r\n")
        if not self.request.startswith("HEAD"):
            self.send(body)

    def wait_for_end(self):
        while self.sock.recv(1 << 16):
            pass

    def serve(self):
        self.read_head()
        url = urlsplit(self.request.split(" ")[1])
        query = {k: v[0] for k, v in parse_qs(url.query).items()}
        route = globals().get("do_" + url.path.strip("/").replace("-", "_"))
        if not route:
            self.read_body()
            return self.answer("nothing at " + url.path, "404 Not Found")
        if not getattr(route, "early", False):
            self.read_body()
        route(self, query)


def early(route):
    route.early = True
    return route


def do_hello(c, q):
    c.answer("hello")


def do_echo(c, q):
    c.answer("\n".join([c.request] + c.head).encode("latin-1") + b"\n\n" + c.text)


def do_count(c, q):
    c.answer("%d %s" % (c.body, c.fields.get("transfer-encoding", "length")))


def do_connection(c, q):
    c.answer(str(c.number))


def do_vanish(c, q):
    """Closes a connection that was to be kept."""
    c.answer("gone")
    raise Gone


def do_log(c, q):
    with lock:
        c.answer("\n\n".join(log))


def do_bytes(c, q):
    left = int(q["n"])
    c.send("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % left)
    block = bytes(range(256)) * 256
    while left > 0:
        c.send(block[:left])
        left -= len(block)


def do_status(c, q):
    c.answer("body of %s" % q["s"], q["s"] + " Whatever")


def do_nothing(c, q):
    c.send("HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n")


def do_chunked(c, q):
    c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for word in ("one ", "two ", "three"):
        c.send("%x\r\n%s\r\n" % (len(word), word))
        time.sleep(float(q.get("pause", 0)))
    c.send("0\r\nX-Trailer: yes\r\n\r\n")


def do_eof(c, q):
    c.send("HTTP/1.1 200 OK\r\nContent-Type: raw\r\n\r\nuntil the end")
    raise Gone


def do_joined(c, q):
    c.answer("", fields=["X-Many: a", "x-many: b", "X-MANY:c", "X-Empty:", "X-Fold: one", " two"])


def do_continue(c, q):
    c.send("HTTP/1.1 103 Early Hints\r\nX-Hint: 1\r\n\r\n")
    c.answer("after hints")


def do_redirect(c, q):
    c.answer("go away", q.get("s", "302") + " Found", ["Location: " + q["to"]])


def do_loop(c, q):
    c.answer("", "302 Found", ["Location: /loop"])


@early
def do_silent(c, q):
    c.wait_for_end()


@early
def do_half(c, q):
    c.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    c.wait_for_end()


def do_drip(c, q):
    c.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
    for _ in range(10):
        c.send(".")
        time.sleep(float(q["pause"]))


def do_truncated(c, q):
    c.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    raise Gone


def do_badchunk(c, q):
    c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n")
    raise Gone


def do_cutchunk(c, q):
    c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhello")
    raise Gone


def do_garbled(c, q):
    c.send("\x00\x01\x02 this is no HTTP\r\n\r\n")
    raise Gone


def do_badstatus(c, q):
    c.send("HTTP/1.1 abc WHAT\r\n\r\n")
    raise Gone


def do_badcoding(c, q):
    c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    raise Gone


def do_endless(c, q):
    c.send("HTTP/1.1 200 OK\r\n")
    while True:
        c.send("X-Endless: " + "x" * 1000 + "\r\n")


def do_lines(c, q):
    c.send("HTTP/1.1 200 OK\r\n" + "".join("X-%d: 1\r\n" % i for i in range(3000)) + "\r\n")


def do_longline(c, q):
    c.send("HTTP/1.1 200 OK\r\nX-Long: ")
    while True:
        c.send("x" * 10000)


def do_length(c, q):
    """Lengths that say nothing, or several things."""
    c.send("HTTP/1.1 200 OK\r\n" + "".join("Content-Length: %s\r\n" % n for n in q["n"].split(",")) + "\r\nhello")
    raise Gone


def do_flood(c, q):
    """Answers that are none yet, without end."""
    while True:
        c.send(("HTTP/1.1 %s Wait\r\nX-A: b\r\n\r\n" % q["s"]) * 500)


def do_trailers(c, q):
    c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n")
    while True:
        c.send("X-T: " + "x" * 1000 + "\r\n")


def do_empty(c, q):
    raise Gone


def do_reset(c, q):
    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise Gone


@early
def do_reject(c, q):
    """Answers before the body was sent, as a daemon does for a bad query."""
    c.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
    if "rude" in q:
        raise Gone
    c.sock.shutdown(socket.SHUT_WR)
    time.sleep(0.3)
    raise Gone


def do_upgrade(c, q):
    status = q.get("s", "101")
    c.send("HTTP/1.1 %s UPGRADED\r\nX-Body: %d\r\n\r\nahead:" % (status, c.body))
    if c.ahead:
        c.send(c.ahead)
    while True:
        data = c.sock.recv(1 << 16)
        if not data:
            break
        c.send(data.upper())
    c.send("bye")
    raise Gone


def run(sock, number):
    try:
        if not options.unix:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if options.cert:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(options.cert, options.key)
            if options.client_ca:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(options.client_ca)
            sock = context.wrap_socket(sock, server_side=True)
        connection = Connection(sock, number)
        while True:
            connection.serve()
    except (Gone, OSError, ValueError):
        pass
    finally:
        sock.close()


if options.unix:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(options.unix)
else:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
listener.listen(512)
print("ready" if options.unix else listener.getsockname()[1], flush=True)
while True:
    sock, _ = listener.accept()
    connections += 1
    threading.Thread(target=run, args=(sock, connections), daemon=True).start()
