#include "shim/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "shim/probe.h"
#include "shim/wire.h"

enum { CHUNK = 64 << 10, WRITE_MAX = 1 << 30, NAMES_MAX = 64 << 20 };

/* Answers its request with k or e frames, and o frames before; false: nobody listens any more. */
typedef bool answer(struct wire_frame *frame, struct buf *reply, struct err *err);

static bool add_number(struct buf *reply, long long number)
{
    return buf_format(reply, "%lld%c", number, 0);
}

static bool add_text(struct buf *reply, const char *text)
{
    return buf_add(reply, text, strlen(text) + 1);
}

/* I: uid, gid, groups, environment of this process: what the daemon makes of the user's name */
static bool tell_identity(struct wire_frame *frame, struct buf *reply, struct err *err)
{
    (void)frame;
    gid_t groups[NGROUPS_MAX > 1024 ? 1024 : NGROUPS_MAX];
    int count = getgroups(sizeof groups / sizeof *groups, groups);
    if (count < 0)
        return err_system(err, errno, "cannot list the groups");
    add_number(reply, getuid());
    add_number(reply, getgid());
    add_number(reply, count);
    for (int i = 0; i < count; i++)
        add_number(reply, groups[i]);
    for (char **each = environ; *each; each++)
        add_text(reply, *each);
    return true;
}

/* R: path, the most bytes */
static bool read_file(struct wire_frame *frame, struct buf *reply, struct err *err)
{
    (void)reply;
    const char *path = wire_text(frame);
    const long long max = strtoll(wire_text(frame), NULL, 10);
    static char chunk[CHUNK];
    const int fd = file_open(path, err);
    if (fd < 0)
        return false;
    long long sum = 0;
    ssize_t n;
    while ((n = read(fd, chunk, sizeof chunk)) > 0 && (sum += n) <= max)
        if (!wire_send('o', chunk, (size_t)n))
            break;
    const int number = errno;
    close(fd);
    if (n < 0)
        return err_system(err, number, "cannot read %s", path);
    return sum <= max || err_set(err, ERR_LIMIT, "%s is larger than %lld bytes", path, max);
}

static bool take_bytes(struct buf *bytes, struct err *err)
{
    struct wire_frame piece = {0};
    bool fits = true;
    while (wire_take(&piece) && piece.type == 'w')
        fits = fits && buf_add(bytes, piece.data, piece.len);
    const bool whole = piece.type == 'g';
    mem_free(piece.data);
    if (!whole)
        return err_set(err, ERR_CANCELLED, "nobody asks any more");
    return fits || err_set(err, ERR_LIMIT, "more than %d bytes to write", WRITE_MAX);
}

/* W, A: path, mode, durable; then w frames with the bytes, and g */
static bool write_file(struct wire_frame *frame, struct buf *reply, struct err *err)
{
    (void)reply;
    struct buf bytes;
    buf_init(&bytes, WRITE_MAX);
    const bool whole = frame->type == 'W';
    struct file_spec spec = {.path = wire_text(frame)};
    spec.mode = (mode_t)wire_number(frame);
    spec.durable = wire_number(frame) != 0;
    bool good = take_bytes(&bytes, err);
    spec.data = bytes.data;
    spec.len = bytes.len;
    good = good && (whole ? file_replace : file_append)(&spec, err);
    mem_wipe(bytes.data, bytes.len);
    return good;
}

static const char *type_name(mode_t mode)
{
    return S_ISREG(mode)   ? "file"
           : S_ISDIR(mode) ? "directory"
           : S_ISLNK(mode) ? "link"
                           : "other";
}

/* S: path; a link itself, not what it points to */
static bool tell_stat(struct wire_frame *frame, struct buf *reply, struct err *err)
{
    const char *path = wire_text(frame);
    struct stat st;
    if (lstat(path, &st) != 0)
        return err_system(err, errno, "cannot look at %s", path);
    add_text(reply, type_name(st.st_mode));
    add_number(reply, st.st_size);
    add_number(reply, st.st_mode & 07777);
    add_number(reply, st.st_uid);
    add_number(reply, st.st_gid);
    buf_format(reply, "%lld.%09ld%c", (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, 0);
    return true;
}

static int no_dots(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

/* L: path */
static bool list_names(struct wire_frame *frame, struct buf *reply, struct err *err)
{
    const char *path = wire_text(frame);
    struct dirent **names;
    int count = scandir(path, &names, no_dots, alphasort);
    if (count < 0)
        return err_system(err, errno, "cannot list %s", path);
    bool fits = true;
    for (int i = 0; i < count; i++) {
        fits = fits && add_text(reply, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    return fits || err_set(err, ERR_LIMIT, "%s has too many names", path);
}

/* D: path, mode */
static bool make_dir(struct wire_frame *frame, struct buf *reply, struct err *err)
{
    (void)reply;
    const char *path = wire_text(frame);
    return dir_make(path, (mode_t)wire_number(frame), err);
}

/* X: path */
static bool remove_tree(struct wire_frame *frame, struct buf *reply, struct err *err)
{
    (void)reply;
    return tree_remove(wire_text(frame), NULL, err);
}

/* P: path -> the same without links */
static bool real_path(struct wire_frame *frame, struct buf *reply, struct err *err)
{
    const char *path = wire_text(frame);
    char *real = realpath(path, NULL);
    if (!real)
        return err_system(err, errno, "cannot find %s", path);
    add_text(reply, real);
    free(real);
    return true;
}

/* C: path of a directory that is to be written in */
static bool may_write(struct wire_frame *frame, struct buf *reply, struct err *err)
{
    (void)reply;
    const char *path = wire_text(frame);
    return access(path, W_OK | X_OK) == 0 || err_system(err, errno, "cannot write in %s", path);
}

static bool own_at(int dir, const char *name, uid_t uid, gid_t gid);

static bool own_below(int fd, uid_t uid, gid_t gid)
{
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    bool good = entries != NULL;
    for (struct dirent *entry; good && (entry = readdir(entries));)
        if (no_dots(entry))
            good = own_at(fd, entry->d_name, uid, gid);
    if (entries)
        closedir(entries);
    return good;
}

static bool own_at(int dir, const char *name, uid_t uid, gid_t gid)
{
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT;
    if ((st.st_uid != uid || st.st_gid != gid) &&
        fchownat(dir, name, uid, gid, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    if (!S_ISDIR(st.st_mode))
        return true;
    return own_below(openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), uid, gid);
}

/* O: uid, gid, all below ("1") or not, mode or 0, paths…; links are not followed */
static bool own(struct wire_frame *frame, struct buf *reply, struct err *err)
{
    (void)reply;
    const uid_t uid = (uid_t)wire_number(frame);
    const gid_t gid = (gid_t)wire_number(frame);
    const bool below = wire_number(frame) != 0;
    const mode_t mode = (mode_t)wire_number(frame);
    for (const char *path; *(path = wire_text(frame));) {
        const bool good = below ? own_at(AT_FDCWD, path, uid, gid) : lchown(path, uid, gid) == 0;
        if (!good || (mode && chmod(path, mode) != 0))
            return err_system(err, errno, "cannot change the owner of %s", path);
    }
    return true;
}

static const struct {
    char type;
    answer *answer;
} answers[] = {
    {'I', tell_identity}, {'R', read_file}, {'W', write_file},  {'A', write_file},
    {'S', tell_stat},     {'L', list_names}, {'D', make_dir},   {'X', remove_tree},
    {'P', real_path},     {'C', may_write},  {'O', own},        {'T', probe_port},
    {0, NULL},
};

bool files_serve(struct wire_frame *frame)
{
    struct err err;
    struct buf reply;
    int i = 0;
    while (answers[i].type && answers[i].type != frame->type)
        i++;
    if (!answers[i].type)
        return false;
    buf_init(&reply, NAMES_MAX);
    const bool sent = answers[i].answer(frame, &reply, &err)
                          ? wire_send('k', reply.data, reply.len)
                          : wire_error(&err);
    buf_fini(&reply);
    return sent;
}
