"""What stands in for a docker daemon, or before one. Each prints a line when it listens.

usage: servers.py fake SOCKET API [MIN]         says that it speaks API, and no older one than MIN
       servers.py tls SOCKET CERT KEY CA        a port with TLS that wants a certificate of CA, before a socket
       servers.py plain SOCKET                  the same without TLS
"""

import http.server
import json
import socket
import socketserver
import ssl
import sys
import threading


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


def fake(path, api, oldest="1.24"):
    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True
    server = Server(path, Fake)
    server.api, server.oldest = api, oldest
    print("listens", flush=True)
    server.serve_forever()


def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    for end in source, target:
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def forward(path, context=None):
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)

    def serve(client):
        try:
            if context:
                client = context.wrap_socket(client, server_side=True)
            daemon = socket.socket(socket.AF_UNIX)
            daemon.connect(path)
        except OSError:
            client.close()
            return
        threading.Thread(target=pump, args=(client, daemon), daemon=True).start()
        pump(daemon, client)

    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client,), daemon=True).start()


def tls(path, cert, key, ca):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.load_verify_locations(ca)
    context.verify_mode = ssl.CERT_REQUIRED
    forward(path, context)


{"fake": fake, "tls": tls, "plain": forward}[sys.argv[1]](*sys.argv[2:])
