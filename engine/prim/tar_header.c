#include "prim/tar_header.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/path.h"

struct ustar {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, link[100];
    char magic[6], version[2], uname[32], gname[32], major[8], minor[8], prefix[155], rest[12];
};

_Static_assert(sizeof(struct ustar) == TAR_BLOCK, "a header is one block");

enum { PAX_MAX = 1 << 20, PAX_NAME_MAX = 80 };

static const uint64_t octal_max = 077777777777;

static void put_octal(char *field, size_t size, uint64_t value)
{
    field[size - 1] = '\0';
    for (size_t i = size - 1; i-- > 0; value >>= 3)
        field[i] = (char)('0' + (value & 7));
}

/* Cuts what is too long: then the pax header has the whole. */
static void put_text(char *field, size_t size, const char *text)
{
    size_t len = strlen(text);
    memcpy(field, text, len < size ? len : size);
}

bool tar_header_has_content(const struct tar_entry *entry)
{
    return S_ISREG(entry->st->st_mode) && !entry->twin;
}

static char type_of(const struct tar_entry *entry)
{
    mode_t mode = entry->st->st_mode;
    return entry->twin     ? '1'
           : S_ISLNK(mode) ? '2'
           : S_ISCHR(mode) ? '3'
           : S_ISBLK(mode) ? '4'
           : S_ISDIR(mode) ? '5'
           : S_ISFIFO(mode) ? '6'
                            : '0';
}

/* Does path fit, whole or cut at a slash into prefix and name? */
static bool put_path(struct ustar *header, const char *path)
{
    size_t len = strlen(path);
    if (len <= sizeof header->name) {
        memcpy(header->name, path, len);
        return true;
    }
    if (len <= sizeof header->name + 1 + sizeof header->prefix)
        for (size_t i = len - sizeof header->name - 1; i + 1 < len; i++)
            if (i > 0 && i <= sizeof header->prefix && path[i] == '/') {
                memcpy(header->prefix, path, i);
                memcpy(header->name, path + i + 1, len - i - 1);
                return true;
            }
    put_text(header->name, sizeof header->name, path);
    return false;
}

static bool add_header(struct buf *out, struct ustar *header)
{
    unsigned sum = 0;
    memcpy(header->magic, "ustar", 6);
    memcpy(header->version, "00", 2);
    memset(header->sum, ' ', sizeof header->sum);
    for (size_t i = 0; i < sizeof *header; i++)
        sum += ((const unsigned char *)header)[i];
    put_octal(header->sum, 7, sum);
    return buf_add(out, header, sizeof *header);
}

static bool pad(struct buf *out, size_t len)
{
    static const char zeros[TAR_BLOCK];
    return len % TAR_BLOCK == 0 || buf_add(out, zeros, TAR_BLOCK - len % TAR_BLOCK);
}

/* "len key=value\n", where len counts itself. */
static bool add_record(struct buf *records, const char *key, const void *value, size_t value_len)
{
    size_t rest = strlen(key) + value_len + 3, len = rest + 1;
    for (size_t was = 0; was != len;) {
        was = len;
        len = rest + (size_t)snprintf(NULL, 0, "%zu", was);
    }
    return buf_format(records, "%zu %s=", len, key) && buf_add(records, value, value_len) &&
           buf_char(records, '\n');
}

static bool add_number(struct buf *records, const char *key, long long value)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", value);
    return add_record(records, key, text, strlen(text));
}

static bool add_pax(struct buf *out, const char *path, const struct buf *records)
{
    struct ustar header = {.type = 'x'};
    char name[PAX_NAME_MAX + 16];
    snprintf(name, sizeof name, "PaxHeaders/%.*s", PAX_NAME_MAX, path_base(path));
    put_text(header.name, sizeof header.name, name);
    put_octal(header.mode, sizeof header.mode, 0644);
    put_octal(header.uid, sizeof header.uid, 0);
    put_octal(header.gid, sizeof header.gid, 0);
    put_octal(header.size, sizeof header.size, records->len);
    put_octal(header.mtime, sizeof header.mtime, 0);
    return add_header(out, &header) && buf_add(out, records->data, records->len) &&
           pad(out, records->len);
}

bool tar_header(struct buf *out, const struct tar_entry *entry)
{
    const struct stat *st = entry->st;
    struct ustar header = {.type = type_of(entry)};
    struct buf records, path;
    buf_init(&records, PAX_MAX);
    buf_init(&path, PAX_MAX);
    const char *link = entry->twin ? entry->twin : S_ISLNK(st->st_mode) ? entry->link : "";
    uint64_t size = tar_header_has_content(entry) ? (uint64_t)st->st_size : 0;
    int64_t mtime = st->st_mtim.tv_sec;
    bool late = mtime < 0 || (uint64_t)mtime > octal_max;
    bool good = buf_format(&path, "%s%s", entry->path, S_ISDIR(st->st_mode) ? "/" : "");
    if (good && !put_path(&header, path.data))
        good = add_record(&records, "path", path.data, path.len);
    if (good && strlen(link) > sizeof header.link)
        good = add_record(&records, "linkpath", link, strlen(link));
    if (good && size > octal_max)
        good = add_number(&records, "size", (long long)size);
    if (good && late)
        good = add_number(&records, "mtime", mtime);
    if (good && entry->capability)
        good = add_record(&records, "SCHILY.xattr.security.capability", entry->capability,
                          entry->capability_len);
    put_text(header.link, sizeof header.link, link);
    put_octal(header.mode, sizeof header.mode, st->st_mode & 07777);
    put_octal(header.uid, sizeof header.uid, 0);
    put_octal(header.gid, sizeof header.gid, 0);
    put_octal(header.size, sizeof header.size, size > octal_max ? 0 : size);
    put_octal(header.mtime, sizeof header.mtime, late ? 0 : (uint64_t)mtime);
    bool device = S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode);
    put_octal(header.major, sizeof header.major, device ? major(st->st_rdev) : 0);
    put_octal(header.minor, sizeof header.minor, device ? minor(st->st_rdev) : 0);
    good = good && (records.len == 0 || add_pax(out, entry->path, &records)) &&
           add_header(out, &header);
    buf_fini(&records);
    buf_fini(&path);
    return good;
}
