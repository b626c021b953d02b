#include "prim/session_source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/protobuf.h"
#include "base/xattr.h"
#include "prim/session_call.h"
#include "prim/session_walk.h"

enum {
    CHUNK = 32 << 10,       /* of a file in one packet, as fsutil does it */
    BATCH = 128 << 10,      /* bytes that are given at a time */
    PACKET_MAX = 1 << 20,   /* the longest: an entry with two paths and extended attributes */
};

struct source {
    const struct source_spec *spec;
    struct source_count *count;
    struct err *err;
    struct walk *walk;
    struct buf batch, stat, attribute, packet;
    char *chunk;
};

/* Go's os.FileMode. */
static uint64_t go_mode(mode_t mode)
{
    uint64_t go = mode & 0777;
    go |= mode & S_ISUID ? 1u << 23 : 0;
    go |= mode & S_ISGID ? 1u << 22 : 0;
    go |= mode & S_ISVTX ? 1u << 20 : 0;
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return go | 1u << 31;
    case S_IFLNK:
        return go | 1u << 27;
    case S_IFIFO:
        return go | 1u << 25;
    case S_IFBLK:
        return go | 1u << 26;
    case S_IFCHR:
        return go | 1u << 26 | 1u << 21;
    default:
        return go;
    }
}

/* --- packets ---------------------------------------------------------------------------------- */

static bool flush(struct source *source)
{
    return source->batch.len == 0 || source->spec->give(source->spec->arg, &source->batch) ||
           err_set(source->err, ERR_CANCELLED, "the build session has ended");
}

static bool add_packet(struct source *source)
{
    if (!call_add_head(&source->batch, source->packet.len) ||
        !buf_add(&source->batch, source->packet.data, source->packet.len))
        return err_set(source->err, ERR_LIMIT, "a packet is too long for the build session");
    buf_clear(&source->packet);
    return source->batch.len < BATCH || flush(source);
}

/* An entry of a map. */
static bool add_attribute(void *arg, const char *key, const void *value, size_t len)
{
    struct source *source = arg;
    struct buf *pair = &source->attribute;
    buf_clear(pair);
    return protobuf_add_bytes(pair, 1, key, strlen(key)) &&
           protobuf_add_bytes(pair, 2, value, len) &&
           protobuf_add_bytes(&source->stat, 10, pair->data, pair->len);
}

static bool add_stat(struct source *source, const struct walk_entry *entry)
{
    const struct stat *st = entry->st;
    const bool device = S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode);
    struct buf *out = &source->stat;
    const int64_t nanoseconds = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
    buf_clear(out);
    bool good =
        protobuf_add_bytes(out, 1, entry->path, strlen(entry->path)) &&
        protobuf_add_integer(out, 2, go_mode(st->st_mode)) && /* uid and gid stay 0 */
        protobuf_add_integer(out, 5, S_ISDIR(st->st_mode) ? 0 : (uint64_t)st->st_size) &&
        protobuf_add_integer(out, 6, (uint64_t)nanoseconds) &&
        (!entry->link || protobuf_add_bytes(out, 7, entry->link, strlen(entry->link))) &&
        protobuf_add_integer(out, 8, device ? major(st->st_rdev) : 0) &&
        protobuf_add_integer(out, 9, device ? minor(st->st_rdev) : 0) &&
        (entry->dir < 0 || xattr_each(entry->dir, entry->name, add_attribute, source)) &&
        protobuf_add_bytes(&source->packet, 2, out->data, out->len);
    source->count->entries++;
    return good ? add_packet(source)
                : err_set(source->err, ERR_LIMIT,
                          "the build session takes no path or extended attributes as long as those of %s",
                          entry->path);
}

static bool add_data(struct source *source, uint32_t number, const char *data, size_t len)
{
    return protobuf_add_integer(&source->packet, 1, PACKET_DATA) &&
           protobuf_add_integer(&source->packet, 3, number) &&
           protobuf_add_bytes(&source->packet, 4, data, len) && add_packet(source);
}

static bool add_type(struct source *source, unsigned type, const char *words)
{
    buf_clear(&source->packet);
    return protobuf_add_integer(&source->packet, 1, type) &&
           protobuf_add_bytes(&source->packet, 4, words, strlen(words)) && add_packet(source) &&
           flush(source);
}

/* --- files ------------------------------------------------------------------------------------ */

static bool changed(struct source *source, uint32_t number)
{
    char *path = walk_path(source->walk, number);
    err_set(source->err, ERR_CONFLICT, "%s/%s changed while it was being sent", source->spec->dir,
            path);
    mem_free(path);
    return false;
}

static bool send_content(struct source *source, int fd, uint32_t number)
{
    struct stat before, after;
    off_t sent = 0;
    if (fstat(fd, &before) != 0)
        return err_system(source->err, errno, "cannot read a file in %s", source->spec->dir);
    for (;;) {
        const ssize_t n = read(fd, source->chunk, CHUNK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_system(source->err, errno, "cannot read a file in %s", source->spec->dir);
        if (n == 0)
            break;
        sent += n;
        if (sent > before.st_size)
            return changed(source, number);
        if (!add_data(source, number, source->chunk, (size_t)n))
            return false;
    }
    if (fstat(fd, &after) != 0 || sent != after.st_size ||
        after.st_mtim.tv_sec != before.st_mtim.tv_sec ||
        after.st_mtim.tv_nsec != before.st_mtim.tv_nsec)
        return changed(source, number);
    source->count->bytes += (unsigned long long)sent;
    return true;
}

static bool send_file(struct source *source, uint32_t number)
{
    const int fd = walk_open(source->walk, number, source->err);
    if (fd < 0)
        return false;
    const bool good = send_content(source, fd, number);
    close(fd);
    return good;
}

static bool send_text(struct source *source, uint32_t number)
{
    const struct source_spec *spec = source->spec;
    if (number != 0)
        return err_set(source->err, ERR_REMOTE, "the daemon asked for a file that is not there");
    for (size_t at = 0; at < spec->text_len; at += CHUNK) {
        const size_t left = spec->text_len - at;
        if (!add_data(source, number, spec->text + at, left < CHUNK ? left : CHUNK))
            return false;
    }
    source->count->bytes += spec->text_len;
    return true;
}

static bool serve(struct source *source)
{
    const struct source_spec *spec = source->spec;
    uint32_t number;
    while ((spec->waiting(spec->arg) || flush(source)) && spec->next(spec->arg, &number)) {
        bool good = source->walk ? send_file(source, number) : send_text(source, number);
        if (!good || !add_data(source, number, "", 0))
            return false;
        source->count->files++;
        if (*spec->stop)
            break;
    }
    return !*spec->stop ||
           err_set(source->err, ERR_CANCELLED, "the build session has ended");
}

/* --- entries ---------------------------------------------------------------------------------- */

static bool on_entry(void *arg, const struct walk_entry *entry, struct err *err)
{
    (void)err; /* is source->err */
    return add_stat(arg, entry);
}

static bool walk_dir(struct source *source, int root, struct filter *filter)
{
    const struct walk_spec walk = {
        .root = root, .shown = source->spec->dir, .filter = filter,
        .stop = source->spec->stop, .entry = on_entry, .arg = source,
    };
    source->walk = walk_new(&walk);
    return walk_run(source->walk, source->err) && add_packet(source) && serve(source);
}

static bool send_dir(struct source *source)
{
    const struct source_spec *spec = source->spec;
    const int root = open(spec->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return err_system(source->err, errno, "cannot open %s", spec->dir);
    const struct filter_spec patterns = {
        .root = root,
        .include = spec->include, .include_count = spec->include_count,
        .exclude = spec->exclude, .exclude_count = spec->exclude_count,
        .follow = spec->follow, .follow_count = spec->follow_count,
    };
    struct filter *filter = filter_new(&patterns, source->err);
    const bool good = filter && walk_dir(source, root, filter);
    walk_free(source->walk);
    filter_free(filter);
    close(root);
    return good;
}

/* The daemon compares size and time with what it has: the time is made of the text. */
static bool send_lone_text(struct source *source)
{
    const struct source_spec *spec = source->spec;
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = 0; i < spec->text_len; i++)
        hash = (hash ^ (unsigned char)spec->text[i]) * 0x100000001b3;
    const struct stat st = {.st_mode = S_IFREG | 0644, .st_size = (off_t)spec->text_len,
                            .st_mtim = {.tv_sec = (time_t)(hash % 1000000000),
                                        .tv_nsec = (long)(hash / 1000000000 % 1000000000)}};
    const struct walk_entry entry = {.path = "Dockerfile", .st = &st, .dir = -1};
    return add_stat(source, &entry) && add_packet(source) && serve(source);
}

bool source_run(const struct source_spec *spec, struct source_count *count, struct err *err)
{
    struct source source = {.spec = spec, .count = count, .err = err};
    buf_init(&source.batch, BATCH + PACKET_MAX);
    buf_init(&source.packet, PACKET_MAX);
    buf_init(&source.stat, PACKET_MAX);
    buf_init(&source.attribute, PACKET_MAX);
    source.chunk = mem_alloc(CHUNK);
    *err = (struct err){0};
    const bool good = spec->dir ? send_dir(&source) : send_lone_text(&source);
    if (good)
        add_type(&source, PACKET_FIN, "");
    else if (err->kind != ERR_CANCELLED)
        add_type(&source, PACKET_ERR, err->message);
    mem_free(source.chunk);
    buf_fini(&source.batch);
    buf_fini(&source.packet);
    buf_fini(&source.stat);
    buf_fini(&source.attribute);
    return good;
}
