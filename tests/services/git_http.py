#!/usr/bin/python3
"""Git repositories over smart HTTP, by `git http-backend`.

usage: git_http.py DIR

Serves DIR/git/*.git on two ports with the same content:

  /app.git             anybody may read
  /private/app.git     asks for the user and password in DIR/git_password
  /redirect/PATH       302 to PATH on the second port
  /slow/PATH           begins an answer, then says nothing more
  /status/NNN/PATH     answers NNN

strict.git is served by protocol 0 only: protocol 2 gives any object to
anybody, whatever uploadpack.allowAnySHA1InWant says.

DIR/run/git.port, DIR/run/git_other.port   written when it listens
"""

import base64
import hmac
import os
import subprocess
import sys
import threading

from endpoint import BadRequest, Endpoint, Handler

# The one variable of the caller's that reaches git is PATH.
KEPT = ("PATH",)


class GitHandler(Handler):
    def answer(self):
        path, _, query = self.path.partition("?")
        first, _, rest = path[1:].partition("/")
        if first == "private":
            if not self.admitted():
                return self.reply(401, "Authorization required\n", {
                    "WWW-Authenticate": 'Basic realm="private", charset="UTF-8"'})
            return self.backend("/" + rest, query, self.server.user)
        if first == "redirect":
            there = self.server.other.root + self.path[len("/redirect"):]
            return self.reply(302, "", {"Location": there})
        if first == "slow":
            return self.slow()
        if first == "status":
            return self.status(rest.partition("/")[0])
        return self.backend(path, query, None)

    def admitted(self):
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        try:
            pair = base64.b64decode(given, validate=True)
        except ValueError:
            return False
        return scheme.lower() == "basic" and hmac.compare_digest(
            pair, self.server.password)

    def slow(self):
        self.drain()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-git-upload-pack-advertisement")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.chunk(b"001e# service=git-upload-pack\n")
        self.wait_for_goodbye()

    def status(self, text):
        if not (text.isdigit() and 200 <= int(text) <= 599):
            return self.reply(400, "a status is a number from 200 to 599\n")
        headers = {}
        if text == "401":
            headers["WWW-Authenticate"] = 'Basic realm="status"'
        if text in ("429", "503"):
            headers["Retry-After"] = "1"
        return self.reply(int(text), "status %s was asked for\n" % text, headers)

    # CGI.

    def environment(self, path, query, user):
        env = {key: os.environ[key] for key in KEPT if key in os.environ}
        env.update(
            GATEWAY_INTERFACE="CGI/1.1",
            GIT_CONFIG_GLOBAL=os.devnull,
            GIT_CONFIG_NOSYSTEM="1",
            GIT_HTTP_EXPORT_ALL="1",
            GIT_PROJECT_ROOT=self.server.repositories,
            PATH_INFO=path,
            QUERY_STRING=query,
            REMOTE_ADDR=self.client_address[0],
            REQUEST_METHOD=self.command,
            SERVER_PROTOCOL=self.request_version,
        )
        for header, name in (("Content-Type", "CONTENT_TYPE"),
                             ("Content-Length", "CONTENT_LENGTH"),
                             ("Content-Encoding", "HTTP_CONTENT_ENCODING"),
                             ("Git-Protocol", "GIT_PROTOCOL")):
            if header in self.headers:
                env[name] = self.headers[header]
        if path.startswith("/strict.git"):
            env.pop("GIT_PROTOCOL", None)
        if user:
            env["REMOTE_USER"] = user
        return env

    def backend(self, path, query, user):
        child = subprocess.Popen(
            ["git", "http-backend"], env=self.environment(path, query, user),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        feeder = threading.Thread(
            target=self.feed, args=(self.body_blocks(), child.stdin), daemon=True)
        feeder.start()
        try:
            self.pass_on(child.stdout)
        finally:
            child.stdout.close()    # a child with more to say ends by SIGPIPE
            child.wait()
        feeder.join()

    def feed(self, blocks, pipe):
        """Gives the body to the child; what it does not want is still read."""
        wanted = True
        try:
            for block in blocks:
                if wanted:
                    try:
                        pipe.write(block)
                        pipe.flush()
                    except BrokenPipeError:
                        wanted = False
        except (BadRequest, OSError):
            self.close_connection = True
        finally:
            try:
                pipe.close()
            except BrokenPipeError:
                pass

    def pass_on(self, pipe):
        status, headers = 200, []
        for line in iter(pipe.readline, b""):
            name, _, value = line.decode("latin-1").rstrip("\r\n").partition(":")
            if not name:
                break
            if name.lower() == "status":
                status = int(value.split()[0])
            else:
                headers.append((name, value.strip()))
        else:
            return self.reply(500, "git http-backend said nothing\n")
        sized = any(name.lower() == "content-length" for name, _ in headers)
        chunked = not sized and self.request_version >= "HTTP/1.1"
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif not sized:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.stream(pipe, chunked)

    def stream(self, pipe, chunked):
        try:
            for block in iter(lambda: pipe.read1(65536), b""):
                if chunked:
                    self.chunk(block)
                else:
                    self.wfile.write(block)
            if chunked:
                self.chunk(b"")
        except OSError:
            self.close_connection = True

    def chunk(self, block):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(block), block))


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: git_http.py DIR")
    folder = sys.argv[1]
    with open(os.path.join(folder, "git_password"), "rb") as file:
        password = file.read().strip()
    first, second = Endpoint(GitHandler), Endpoint(GitHandler)
    first.other, second.other = second, first
    for server, name in ((second, "git_other"), (first, "git")):
        server.repositories = os.path.join(folder, "git")
        server.password = password
        server.user = password.partition(b":")[0].decode()
        server.announce(os.path.join(folder, "run", name + ".port"))
    threading.Thread(target=second.serve_forever, daemon=True).start()
    first.serve_forever()


if __name__ == "__main__":
    main()
