"""A daemon's side of BuildKit sessions, by hand: what a real one asks, and what none should.

usage: daemon.py SOCKET SCENE [JSON]: listens, then plays the scene with who comes; prints "ready", then JSON."""
import ctypes, json, socket, struct, sys, time

DATA, HEADERS, RST, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS, ACK = 1, 4, 1
lib = ctypes.CDLL("libnghttp2.so.14")  # for HPACK's decoder only


class NV(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("value", ctypes.c_void_p), ("namelen", ctypes.c_size_t),
                ("valuelen", ctypes.c_size_t), ("flags", ctypes.c_uint8)]


class Inflater:
    def __init__(self):
        self.p = ctypes.c_void_p()
        lib.nghttp2_hd_inflate_new(ctypes.byref(self.p))

    def fields(self, block):
        out, data = [], ctypes.create_string_buffer(block, len(block))
        at, left = ctypes.addressof(data), len(block)
        while True:
            nv, flags = NV(), ctypes.c_int()
            n = lib.nghttp2_hd_inflate_hd2(self.p, ctypes.byref(nv), ctypes.byref(flags), ctypes.c_void_p(at),
                                           ctypes.c_size_t(left), 1)
            assert n >= 0, n
            at, left = at + n, left - n
            if flags.value & 2:
                out.append((ctypes.string_at(nv.name, nv.namelen).decode(), ctypes.string_at(nv.value, nv.valuelen).decode()))
            if flags.value & 1:
                lib.nghttp2_hd_inflate_end_headers(self.p)
                return out
            if n == 0 and left == 0:
                return out


def varint(n):
    out = b""
    while n >= 0x80:
        out, n = out + bytes([n & 0x7f | 0x80]), n >> 7
    return out + bytes([n])


def integer(number, value): return varint(number << 3) + varint(value)


def text(number, value):
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def parse(data):
    out, at = {}, 0

    def number():
        nonlocal at
        n = shift = 0
        while True:
            b = data[at]
            at, n, shift = at + 1, n | (b & 0x7f) << shift, shift + 7
            if b < 0x80:
                return n
    while at < len(data):
        tag = number()
        if tag & 7 == 0:
            out[tag >> 3] = number()
        else:
            n = number()
            out[tag >> 3], at = data[at:at + n], at + n
    return out


def literal(name, value):
    def part(s):
        s = s.encode()
        return (bytes([len(s)]) if len(s) < 127 else b"\x7f" + varint(len(s) - 127)) + s
    return b"\0" + part(name) + part(value)


class Peer:
    def __init__(self, sock):
        self.sock, self.next, self.inflater, self.streams, self.settled = sock, 1, Inflater(), {}, False
        head = b""
        while b"\r\n\r\n" not in head:
            more = sock.recv(4096)
            if not more:
                sys.exit(0)
            head += more
        self.head = head.decode()

    def agree(self):
        self.sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")

    def hello(self):
        self.agree()
        self.sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self.frame(SETTINGS, 0, 0, b"")
        while not self.settled:  # a larger window counts only once it is acknowledged
            self.step()

    def frame(self, kind, flags, stream, payload):
        self.sock.sendall(struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload)

    def exactly(self, n):
        out = b""
        while len(out) < n:
            more = self.sock.recv(n - len(out))
            if not more:
                raise EOFError
            out += more
        return out

    def open(self, path, meta=()):
        stream, self.next = self.next, self.next + 2
        fields = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x"),
                  ("content-type", "application/grpc"), ("te", "trailers")] + [tuple(m) for m in meta]
        self.frame(HEADERS, END_HEADERS, stream, b"".join(literal(n, v) for n, v in fields))
        self.streams[stream] = {"data": b"", "fields": {}, "over": False}
        return stream

    def send(self, stream, message, end=False):
        body = b"\0" + struct.pack(">I", len(message)) + message
        while True:
            piece, body = body[:16384], body[16384:]
            self.frame(DATA, END_STREAM if end and not body else 0, stream, piece)
            if not body:
                return

    def step(self):
        """Takes one frame."""
        head = self.exactly(9)
        payload = self.exactly(int.from_bytes(head[:3], "big"))
        kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], "big")
        if kind == SETTINGS and not flags & ACK:
            self.frame(SETTINGS, ACK, 0, b"")
            self.settled = True
        elif kind == DATA:
            self.streams[stream]["data"] += payload
            if payload:
                for s in (0, stream):
                    self.frame(WINDOW, 0, s, struct.pack(">I", len(payload)))
        elif kind == HEADERS:
            self.streams[stream]["fields"].update(self.inflater.fields(payload))
        elif kind == RST:
            self.streams[stream]["over"] = True
        elif kind == GOAWAY:
            raise EOFError
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            self.streams[stream]["over"] = True

    def message(self, stream):
        """The next one, or None at the end."""
        s = self.streams[stream]
        while True:
            if len(s["data"]) >= 5:
                n = int.from_bytes(s["data"][1:5], "big")
                if len(s["data"]) >= 5 + n:
                    out, s["data"] = s["data"][5:5 + n], s["data"][5 + n:]
                    return out
            if s["over"]:
                return None
            self.step()

    def status(self, stream):
        while not self.streams[stream]["over"]:
            self.step()
        return self.streams[stream]["fields"].get("grpc-status")

    def ask(self, path, message, meta=()):
        stream = self.open(path, meta)
        self.send(stream, message, True)
        answer = self.message(stream)
        return [self.status(stream), None if answer is None else answer.decode("latin-1")]

    def until_closed(self):
        try:
            while True:
                self.step()
        except (EOFError, ConnectionError):
            return


HEALTH = "/grpc.health.v1.Health/Check"
CREDENTIALS = "/moby.filesync.v1.Auth/Credentials"
SECRET = "/moby.buildkit.secrets.v1.Secrets/GetSecret"
FILES = "/moby.filesync.v1.FileSync/DiffCopy"


def scene_ask(p, questions):
    p.hello()
    say({"head": p.head, "answers": [p.ask(path, text(1, word) if word else b"") for path, word in questions]})


def scene_files(p, o):
    """o: meta, want (paths; absent = all files)"""
    p.hello()
    stream, stats, content = p.open(FILES, o["meta"]), [], {}
    while True:
        packet = parse(p.message(stream))
        if packet.get(1, 0) == 4:
            return say({"error": packet[4].decode()})
        stat = parse(packet.get(2, b""))
        if not stat:
            break
        stats.append({"path": stat[1].decode(), "mode": stat.get(2, 0), "uid": stat.get(3, 0), "size": stat.get(5, 0),
                      "link": stat.get(7, b"").decode(), "attributes": stat.get(10, b"").hex()})
    for number, stat in enumerate(stats):
        if stat["mode"] >> 20 or stat["link"] or "want" in o and stat["path"] not in o["want"]:
            continue
        p.send(stream, integer(1, 1) + integer(3, number))
        data = b""
        while True:
            packet = parse(p.message(stream))
            if packet.get(1) == 4:
                return say({"error": packet[4].decode(), "stats": stats})
            assert packet.get(1) == 2 and packet.get(3, 0) == number, packet
            if not packet.get(4):
                break
            data += packet[4]
        content[stat["path"]] = data.decode("latin-1") if len(data) < 1000 else len(data)
    p.send(stream, integer(1, 3), True)
    fin = parse(p.message(stream))
    say({"stats": stats, "content": content, "fin": fin.get(1), "status": p.status(stream)})


def scene_packets(p, o):
    p.hello()
    stream = p.open(FILES, [["dir-name", "context"]])
    for packet in o:
        p.send(stream, bytes.fromhex(packet))
    p.until_closed()


def scene_ssh(p, o):
    p.hello()
    stream = p.open("/moby.sshforward.v1.SSH/ForwardAgent", [["buildkit.ssh.id", "default"]])
    got = b""
    p.send(stream, text(1, b"x" * o["bytes"]))
    while len(got) < o["bytes"]:
        got += parse(p.message(stream))[1]
    p.send(stream, b"", True)
    say({"bytes": len(got), "status": p.status(stream)})


def scene_output(p, o):
    p.hello()
    stream = p.open("/moby.filesync.v1.FileSend/DiffCopy")
    for piece in o["pieces"]:
        p.send(stream, text(1, piece))
    if o.get("cut"):
        p.frame(RST, 0, stream, b"\0\0\0\x08")
        return p.until_closed()
    p.frame(DATA, END_STREAM, stream, b"")
    say({"status": p.status(stream)})


def scene_bytes(p, o):
    p.agree()
    p.sock.sendall(bytes.fromhex(o))
    p.until_closed()


def scene_frames(p, o):
    """o: [kind, flags, stream, payload, times]…"""
    p.hello()
    try:
        for kind, flags, stream, payload, times in o:
            for _ in range(times):
                p.frame(kind, flags, stream, bytes.fromhex(payload))
        p.until_closed()
    except ConnectionError:
        pass


def scene_metadata(p, o):
    """A call whose head never ends."""
    p.hello()
    p.frame(HEADERS, 0, 1, literal(":method", "POST") + literal(":path", FILES) + literal(":scheme", "http"))
    block = b"".join(literal("exclude-patterns", "x" * 1000) for _ in range(16))
    try:
        while True:
            p.frame(CONTINUATION, 0, 1, block)
    except ConnectionError:
        pass


def scene_long(p, o):
    p.hello()
    stream = p.open(o, [["dir-name", "context"]])
    p.frame(DATA, 0, stream, b"\0\x7f\xff\xff\xff" + b"x" * 1000)
    p.until_closed()


def scene_bad(p, o):
    p.hello()
    stream = p.open(o[0])
    p.send(stream, bytes.fromhex(o[1]), True)
    p.until_closed()


def scene_refuse(p, o):
    p.sock.sendall(("HTTP/1.1 %s\r\nContent-Length: 3\r\n\r\nno\n" % o).encode())


def scene_close(p, o):
    p.hello()
    p.ask(HEALTH, b"")


def scene_silent(p, o):
    time.sleep(10)


def scene_idle(p, o):
    p.hello()
    say("up")
    p.until_closed()
    say("closed")


def scene_busy(p, o):
    """Asks for every file and reads nothing."""
    p.hello()
    stream = p.open(FILES, [["dir-name", "context"]])
    for _ in range(3):
        p.step()
    for number in range(o):
        p.send(stream, integer(1, 1) + integer(3, number))
    say("asked")
    time.sleep(10)


def say(value):
    print(json.dumps(value), flush=True)


path, scene = sys.argv[1:3]
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen()
print("ready", flush=True)
peer = Peer(listener.accept()[0])
try:
    globals()["scene_" + scene](peer, json.loads(sys.argv[3]) if len(sys.argv) > 3 else None)
except (EOFError, ConnectionError) as e:
    say({"gone": str(e)})
