"""Writes one hostile or odd archive: hostile_tar.py CASE FILE OUTSIDE.

OUTSIDE is a directory beside the one that is unpacked into; nothing in it may change."""
import gzip
import io
import sys
import tarfile

case, path, outside = sys.argv[1:]
buffer = io.BytesIO()
tar = tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape")


def add(name, kind=tarfile.REGTYPE, data=b"", **fields):
    info = tarfile.TarInfo(name)
    info.type = kind
    info.size = len(data)
    info.mtime = 1000
    for key, value in fields.items():
        setattr(info, key, value)
    tar.addfile(info, io.BytesIO(data))


def directory(name, mode=0o755):
    add(name, tarfile.DIRTYPE, mode=mode)


def symlink(name, target):
    add(name, tarfile.SYMTYPE, linkname=target)


def link(name, target):
    add(name, tarfile.LNKTYPE, linkname=target)


def absolute(): add(outside + "/x", data=b"out")
def absolute_dir(): directory(outside + "/x")
def dotdot(): add("../outside/x", data=b"out")
def dotdot_inside(): add("a/../../outside/x", data=b"out")
def dotdot_dir(): directory("..")
def through_absolute(): symlink("l", outside), add("l/x", data=b"out")
def through_relative(): symlink("l", "../outside"), add("l/x", data=b"out")
def through_chain(): symlink("a", "b"), symlink("b", ".."), add("a/outside/x", data=b"out")
def through_deep(): directory("d"), symlink("d/l", "../.."), add("d/l/outside/y/z/x", data=b"out")
def through_proc(): symlink("l", "/proc/self/cwd"), add("l/x", data=b"out")
def through_dir(): symlink("l", outside), directory("l/x")
def through_symlink(): symlink("l", outside), symlink("l/x", "anything")
def through_dangling(): symlink("l", "nowhere"), add("l/x", data=b"in")
def link_absolute(): link("h", outside + "/victim")
def link_dotdot(): link("h", "../outside/victim")
def link_symlink(): symlink("s", outside + "/victim"), link("h", "s")
def link_through(): symlink("s", outside), link("h", "s/victim")
def link_missing(): link("h", "nothing")
def link_dir(): directory("d"), link("h", "d")
def link_into(): add("f", data=b"x"), symlink("s", outside), link("s/h", "f")
def fifo(): add("f", tarfile.FIFOTYPE)
def char_device(): add("c", tarfile.CHRTYPE, devmajor=1, devminor=3)
def block_device(): add("b", tarfile.BLKTYPE, devmajor=8)
def top_file(): add(".", data=b"x")
def top_symlink(): symlink("./", outside)
def odd_name(): add("../a\n\x1b[31m\udcff", data=b"x")
def long_name(): add("x" * 5000)


def over_symlink():
    symlink("f", outside + "/victim")
    add("f", data=b"new")


def over_link():
    add("f", data=b"one")
    link("g", "f")
    add("g", data=b"two")


def dir_over_symlink():
    symlink("d", outside)
    directory("d", 0o700)
    add("d/x", data=b"in")


def swap_parent():
    directory("one"), directory("two")
    symlink("s", "one"), add("s/x", data=b"1")
    symlink("s", "two"), add("s/y", data=b"2")
    symlink("s", outside), add("s/z", data=b"3")


def replaced_parent():
    directory("d"), add("d/x", data=b"in")
    symlink("d", outside), add("d/x", data=b"out")


def replacing():
    directory("a"), add("a/b/c", data=b"deep"), add("a", data=b"file")
    add("f", data=b"file"), directory("f"), add("f/x", data=b"in")
    add("p", data=b"file"), add("p/q", data=b"implied")
    directory("l"), add("l/x", data=b"x"), symlink("l", "a")
    add("twice", data=b"first, longer"), add("twice", data=b"second")


def modes():
    directory("ro", 0o555), add("ro/f", data=b"x", mode=0o444)
    directory("none", 0o000), add("none/f", data=b"x", mode=0o6755)
    directory("sticky", 0o7777)
    directory("again", 0o700), add("again/f"), directory("again", 0o750)


def names():
    add("new\nline", data=b"1")
    add("\udcff\udcfe", data=b"2")
    add("é" * 60, data=b"3")
    add("\udcff" + "b" * 110, data=b"4")
    add("d/" * 100 + "deep", data=b"5")
    symlink("link", "t" * 150 + "é")
    add("short", data=b"6", pax_headers={"path": "n\0ul"})
    add("./dot/./slash//f", data=b"7")


def inside():
    directory("real"), symlink("in", "real"), add("in/x", data=b"x")
    link("h", "real/x"), link("h", "h"), link("h2", "in/x")
    symlink("loose", "/etc/passwd"), symlink("up", "../../.."), symlink("dead", "nowhere")


def plenty():
    for i in range(100):
        add("f%d" % i, data=b"x" * 100)


def huge():
    info = tarfile.TarInfo("huge")
    info.size = 1 << 62
    buffer.write(info.tobuf(tarfile.GNU_FORMAT))


def swollen_link():
    """A link of a petabyte, of which a compressed archive holds some: no limit but what is read of it."""
    add("f")
    info = tarfile.TarInfo("h")
    info.type, info.linkname, info.pax_headers = tarfile.LNKTYPE, "f", {"size": str(1 << 50)}
    buffer.write(info.tobuf(tarfile.PAX_FORMAT) + bytes(80 << 20))


def bomb():
    """Says that it holds 5 GiB, in a file of 60 bytes."""
    info = tarfile.TarInfo("f")
    info.size = 5 << 30
    buffer.write(info.tobuf(tarfile.PAX_FORMAT))


def ways():
    """Two entries, with 30 directories in their names."""
    add("a/" * 15 + "f"), add("b/" * 15 + "f")


def attribute(record, size=None):
    """A file with one PAX record of these bytes."""
    head = tarfile.TarInfo("././@PaxHeader")
    head.type, head.size = tarfile.XHDTYPE, size or len(record)
    buffer.write(head.tobuf(tarfile.USTAR_FORMAT) + record.ljust(512, b"\0"))
    add("f", data=b"x")


def pax_length(): attribute(b"11 path=g\n")
def pax_endless(): attribute(b"9999999 path=g\n")
def pax_letters(): attribute(b"xx path=g\n")
def pax_nameless(): attribute(b"5 =g\n16 linkpath=xx\n")
def pax_valueless(): attribute(b"7 path\n")
def pax_sparse(): attribute(b"23 GNU.sparse.map=0,x,\n")
def pax_behind_name(): attribute(b"11 path=\xc3\xa9\nxx path=g\n")


def damaged():
    plenty()
    buffer.seek(512 * 40)
    buffer.write(b"\xa5" * 512)
    buffer.seek(0, 2)


def garbage_after(): add("f", data=b"x")
def cut_content(): add("f", data=b"x" * 5000), add("g")
def cut_between(): plenty()
def cut_gzip(): plenty()
def nothing(): pass
def nonsense(): pass
def empty(): pass


globals()[case]()
if case not in ("huge", "swollen_link", "bomb"):
    tar.close()
data = buffer.getvalue()
if case == "garbage_after":
    data += b"\xa5" * 3000
elif case == "cut_content":
    data = data[:2000]
elif case == "cut_between":
    data = data[:1024 * 50]
elif case == "cut_gzip":
    data = gzip.compress(data)[:-20]
elif case in ("swollen_link", "bomb"):
    data = gzip.compress(data, 1)
elif case == "nothing":
    data = b""
elif case == "nonsense":
    data = b"this is no archive\n" * 100
with open(path, "wb") as out:
    out.write(data)
