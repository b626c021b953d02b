#!/usr/bin/python3
"""A registry with faults: passes requests on to a real one.

usage: registry_proxy.py UPSTREAM [--address ADDRESS] [--tls CERT KEY] [--drip SECONDS]

UPSTREAM is HOST:PORT of a registry without TLS. The port is printed when it
listens. Faults are asked for at /_control (endpoint.py); a request's subject
is "METHOD PATH". With --drip an upload is passed on in pieces of 64 KiB, that
far apart.
"""

import argparse
import http.client
import ssl
import sys
import time

from endpoint import Endpoint, Handler

HOP = ("connection", "keep-alive", "transfer-encoding", "content-length", "date", "server")
BLOCK = 65536


class Proxy(Handler):
    def subject(self):
        return "%s %s" % (self.command, self.path)

    def answer(self):
        server = self.server
        there = http.client.HTTPConnection(server.upstream, timeout=60)
        try:
            # The registry makes its Location of what we say here.
            there.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("connection", "transfer-encoding", "expect"):
                    there.putheader(name, value)
            if server.tls:
                there.putheader("X-Forwarded-Proto", "https")
            chunked = self.unread and "Content-Length" not in self.headers
            if chunked:
                there.putheader("Transfer-Encoding", "chunked")
            there.endheaders()
            for block in self.body_blocks():
                there.send(b"%x\r\n%s\r\n" % (len(block), block) if chunked else block)
                if server.drip:
                    time.sleep(server.drip)
            if chunked:
                there.send(b"0\r\n\r\n")
            self.pass_back(there.getresponse())
        finally:
            there.close()

    def pass_back(self, answer):
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP:
                self.send_header(name, value)
        length = answer.getheader("Content-Length")
        body = None
        if length is None:
            body = answer.read()
            length = str(len(body))
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command == "HEAD":
            return
        if body is not None:
            self.wfile.write(body)
        while block := answer.read(BLOCK):
            self.wfile.write(block)

    def log_message(self, format, *args):
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("upstream")
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--tls", nargs=2)
    parser.add_argument("--drip", type=float, default=0)
    given = parser.parse_args()
    server = Endpoint(Proxy, given.address)
    server.upstream, server.drip, server.tls = given.upstream, given.drip, given.tls is not None
    if given.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*given.tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
