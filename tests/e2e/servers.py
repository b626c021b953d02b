"""What stands in for a docker daemon, or before one. Each prints a line when it listens.

usage: servers.py fake SOCKET API [MIN]         says that it speaks API, and no older one than MIN
       servers.py answers SOCKET                a daemon of API 1.41 whose streams are what SOCKET.answer holds; if that is
                                                empty, a line without end; "endless X": X without end, N in it counts;
                                                "endless trace": BuildKit's, of ever new steps; "endless words": an
                                                error without end
       servers.py tls SOCKET CERT KEY CA        a port with TLS that wants a certificate of CA, before a socket
       servers.py plain SOCKET                  the same without TLS
       servers.py cut SOCKET [MARK]             the same; the first time that a step's end, or MARK, comes by, it
                                                hangs up
       servers.py garble SOCKET [MARK]          the same; the first "please garble", or MARK, is followed by junk
       servers.py without SOCKET WORDS          the same; a request with these words in its first line is forbidden
       servers.py newer SOCKET API              the same, before a daemon of API 1.41 that then seems to speak API only
       servers.py silent                        a port that takes connections and says nothing
       servers.py bearer USER PASSWORD          a registry with one manifest, x/y:1, and a token service
"""

import base64
import hashlib
import http.server
import itertools
import json
import socket
import socketserver
import ssl
import sys
import threading
import urllib.parse


class Fake(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        print(self.path, flush=True)
        body = b"OK"
        if self.path == "/version":
            body = json.dumps({"MinAPIVersion": server.oldest}).encode()
        elif self.path != "/_ping":
            body = b"[]"
        self.send_response(200)
        if server.api:
            self.send_header("Api-Version", server.api)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self):
        return "unix"

    def log_message(self, *args):
        pass


def fake(path, api, oldest="1.24", handler=Fake):
    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True
    server = Server(path, handler)
    server.api, server.oldest = api, oldest
    print("listens", flush=True)
    server.serve_forever()


class Answers(Fake):
    def take_body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                self.rfile.read(size + 2)
            self.rfile.readline()
        self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def do_POST(self):
        self.take_body()
        with open(self.server.server_address + ".answer", "rb") as file:
            answer = file.read()
        self.send_response(500 if answer == b"endless words" else 200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            for piece in self.pieces(answer):
                self.wfile.write(piece)
        except OSError:
            pass

    def pieces(self, answer):
        kind, _, line = answer.partition(b" ")
        if answer and kind != b"endless":
            yield answer
            return
        for i in itertools.count(step=1000):
            numbers = (b"%d" % j for j in range(i, i + 1000))
            if not answer:
                yield b"[" * 65536
            elif line == b"words":
                yield b"x" * 65536
            elif line == b"trace":
                steps = b"".join(field(1, field(1, number) + field(3, b"n" * 100)) for number in numbers)
                yield json.dumps({"id": "moby.buildkit.trace", "aux": base64.b64encode(steps).decode()}).encode() + b"\n"
            else:
                yield b"".join(line.replace(b"N", number) for number in numbers)


def field(number, data):
    """A field of bytes, as protobuf has it."""
    length, size = len(data), b""
    while length > 127:
        size += bytes([length & 127 | 128])
        length >>= 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + data


def pump(source, target, change=None):
    try:
        while data := source.recv(65536):
            if change:
                data = change(data)
            target.sendall(data)
    except OSError:
        pass
    for end in source, target:
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Once:
    """Changes the first piece of what the daemon says that has these bytes in it."""

    def __init__(self, mark, change):
        self.mark, self.change, self.done = mark, change, False

    def __call__(self, data):
        if self.done or self.mark not in data:
            return data
        self.done = True
        return self.change(data)


def hang_up(data):
    raise OSError("cut")


def garble(data):
    last = b"\r\n0\r\n\r\n"  # chunk of an answer: behind it nobody looks, and a busy machine reads it with the mark
    if data.endswith(last):
        return garble(data[:2 - len(last)]) + last[2:]
    return data + b"\x01\x00\x00\x00\x00\x00\x00\x09" + b"Z\xff\xff\xff\xffjunk"


def forbid(client):
    client.recv(65536)
    client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\nConnection: close\r\n\r\nForbidden")
    client.close()


def forward(path, context=None, change=None, without=None, ask=None):
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)

    def serve(client):
        try:
            if context:
                client = context.wrap_socket(client, server_side=True)
            if without and without in client.recv(65536, socket.MSG_PEEK).split(b"\r\n")[0]:
                return forbid(client)
            daemon = socket.socket(socket.AF_UNIX)
            daemon.connect(path)
        except OSError:
            client.close()
            return
        threading.Thread(target=pump, args=(client, daemon, ask), daemon=True).start()
        pump(daemon, client, change)

    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client,), daemon=True).start()


def newer(path, api):
    """A daemon of API 1.41 as if it spoke another, of as many characters, and only that."""
    number = api.encode()

    def ask(data):
        if b"/v1.41/" in data.split(b"\r\n", 1)[0]:
            hang_up(data)
        return data.replace(b"/v%s/" % number, b"/v1.41/", 1)

    def answer(data):
        return data.replace(b"Api-Version: 1.41", b"Api-Version: %s" % number, 1)
    forward(path, change=answer, ask=ask)


def tls(path, cert, key, ca):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.load_verify_locations(ca)
    context.verify_mode = ssl.CERT_REQUIRED
    forward(path, context)


class Bearer(http.server.BaseHTTPRequestHandler):
    """Docker's token flow: a password gives a refresh token, either of them a token for each scope."""

    protocol_version = "HTTP/1.1"
    kind = "application/vnd.docker.distribution.manifest.list.v2+json"
    manifests = {"1": b'{"schemaVersion": 2, "mediaType": "%s", "manifests": []}' % kind.encode()}

    def reply(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def token(self, form):
        basic = "Basic " + base64.b64encode(self.server.login.encode()).decode()
        known = (form.get("refresh_token") == ["a-refresh-token"]
                 or self.headers.get("Authorization") == basic)
        if not known:
            return self.reply(401, b'{"details": "incorrect username or password"}')
        scope = form.get("scope", [""])[0]
        answer = {"token": "token:" + scope, "access_token": "token:" + scope}
        if form.get("offline_token") or form.get("access_type"):
            answer["refresh_token"] = "a-refresh-token"
        self.reply(200, json.dumps(answer).encode(), Content_Type="application/json")

    def serve(self):
        url = urllib.parse.urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if url.path == "/token":
            text = url.query if self.command == "GET" else body.decode()
            return self.token(urllib.parse.parse_qs(text))
        scope = "repository:x/y:pull,push"
        given = self.headers.get("Authorization", "")
        if not given.startswith("Bearer token:" + ("" if url.path == "/v2/" else "repository:x/y:pull")):
            realm = "http://%s/token" % self.headers["Host"]
            more = "" if url.path == "/v2/" else ',scope="%s"' % scope
            return self.reply(401, b"{}", WWW_Authenticate='Bearer realm="%s",service="spec"%s' % (realm, more))
        if url.path == "/v2/":
            return self.reply(200, b"{}", Docker_Distribution_API_Version="registry/2.0")
        label = url.path.rpartition("/")[2]
        if self.command == "PUT":
            self.manifests[label] = body
        for name, data in self.manifests.items():
            digest = "sha256:" + hashlib.sha256(data).hexdigest()
            if label in (name, digest):
                return self.reply(201 if self.command == "PUT" else 200, data, Content_Type=self.kind,
                                  Docker_Content_Digest=digest)
        self.reply(404, b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "no such tag"}]}')

    do_GET = do_HEAD = do_POST = do_PUT = serve

    def log_message(self, *args):
        pass


def bearer(user, password):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bearer)
    server.login = "%s:%s" % (user, password)
    print(server.server_address[1], flush=True)
    server.serve_forever()


def silent():
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    kept = []
    while True:
        kept.append(listener.accept())


def changing(change, mark):
    return lambda path, own=None: forward(path, change=Once(own.encode() if own else mark, change))


{"answers": lambda path: fake(path, "1.41", handler=Answers), "bearer": bearer, "fake": fake, "newer": newer, "tls": tls,
 "plain": forward, "silent": silent,
 "without": lambda path, words: forward(path, without=words.encode()),
 "cut": changing(hang_up, b"exit\x000\x00"),
 "garble": changing(garble, b"please garble")}[sys.argv[1]](*sys.argv[2:])
