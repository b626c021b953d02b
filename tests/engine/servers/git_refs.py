"""A git server that has nothing but refs, and what refs: /CASE is the URL of a repository. Prints its port."""
import http.server
import itertools

TIP = b"1" * 40
CASES = {
    "control": [b"refs/heads/ma\x1b]0;x\x07in", b"refs/heads/mai\norch: x", b"refs/heads/ma\x7fin", b"refs/heads/mai~"],
    "paths": [b"refs/heads/../../main", b"refs/heads/main.lock", b"refs/heads/.main", b"refs/tags//main"],
    "head": [b"HEAD"] * 3,
}


def line(text):
    return b"%04x" % (len(text) + 4) + text


def refs(case):
    if case == "endless":
        return (b"refs/heads/%d-" % i + b"x" * 60000 for i in itertools.count())
    if case == "many":
        return itertools.chain([b"refs/heads/mean"], (b"refs/heads/b%d" % i for i in range(300000)))
    return CASES[case]


class Refs(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        case = self.path.split("/")[1]
        symref = b" symref=HEAD:refs/heads/../../../escaped" if case == "head" else b""
        more = b"\0side-band-64k ofs-delta" + symref + b"\n"
        self.send_response(200)
        self.send_header("Content-Type", "application/x-git-upload-pack-advertisement")
        self.end_headers()
        try:
            self.wfile.write(line(b"# service=git-upload-pack\n") + b"0000")
            for ref in refs(case):
                self.wfile.write(line(TIP + b" " + ref + more))
                more = b"\n"
            self.wfile.write(b"0000")
        except OSError:
            pass

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refs)
Refs.wbufsize = 1 << 16
print(server.server_address[1], flush=True)
server.serve_forever()
