#include "prim/tar_in.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#include "base/mem.h"

enum {
    CHUNK = 128 << 10,
    TAR_RECORD = 512,
    SLACK = 64 << 20, /* what the stream may hold besides content, */
    SLACK_PER_ENTRY = 1024, /* and for each entry that it may have */
};

/* A file of 2 MB in zstd may hold 60 GB. What programs and people make of their work is a tenth of
   it when compressed, seldom a hundredth. */
static const unsigned long long expansion_free = 4ULL << 30;
enum { EXPANSION_MAX = 1000 };

struct tar_in {
    struct tar_in_spec spec;
    struct archive *archive;
    int fd;
    unsigned long long entries, bytes;
    bool any; /* an entry was read whose content may be left */
};

const char *tar_shown(const char *name, char out[TAR_SHOWN_SIZE])
{
    size_t at = 0;
    for (const char *p = name; *p; p++) {
        if (at > TAR_SHOWN_SIZE - 9) {
            memcpy(out + at, "...", 3);
            at += 3;
            break;
        }
        unsigned char c = (unsigned char)*p;
        if (c >= ' ' && c < 0x7F && c != '\\') {
            out[at++] = *p;
            continue;
        }
        out[at++] = '\\';
        out[at++] = 'x';
        out[at++] = "0123456789abcdef"[c >> 4];
        out[at++] = "0123456789abcdef"[c & 15];
    }
    out[at] = '\0';
    return out;
}

static bool malformed(struct tar_in *in, struct err *err)
{
    const char *why = archive_error_string(in->archive);
    int number = archive_errno(in->archive);
    if (number == EIO || number == ENOMEM)
        return err_system(err, number, "cannot read %s", in->spec.file);
    return err_set(err, ERR_REMOTE, "%s is no good archive: %s", in->spec.file,
                   why ? why : "no reason given");
}

/* A warning about a name that is not in the locale's characters is none to us: names are bytes. Any
   other tells of something that was left out, attributes and sparse maps for instance; and a name
   without attribute ("5 =x\n") is told of by a number that is no result at all. */
static bool is_sound(struct tar_in *in, int result)
{
    return result == ARCHIVE_OK ||
           (result == ARCHIVE_WARN && archive_errno(in->archive) == EILSEQ);
}

static void limit_expansion(struct tar_in *in, unsigned long long size)
{
    const unsigned long long may = size > expansion_free / EXPANSION_MAX
                                       ? size * EXPANSION_MAX
                                       : expansion_free;
    if (in->spec.any_expansion || may >= in->spec.bytes_max ||
        archive_filter_code(in->archive, 0) == ARCHIVE_FILTER_NONE)
        return;
    in->spec.bytes_max = may;
}

struct tar_in *tar_in_open(const struct tar_in_spec *spec, struct err *err)
{
    struct stat st;
    struct tar_in *in = mem_alloc(sizeof *in);
    in->spec = *spec;
    in->archive = archive_read_new();
    in->fd = open(spec->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a fifo must not hold us */
    bool good = in->fd >= 0 && fstat(in->fd, &st) == 0;
    if (!good)
        err_system(err, errno, "cannot open %s", spec->file);
    else if (!S_ISREG(st.st_mode))
        good = err_set(err, ERR_USAGE, "%s is no file", spec->file);
    if (good) {
        good = archive_read_support_format_tar(in->archive) == ARCHIVE_OK &&
               archive_read_support_filter_gzip(in->archive) == ARCHIVE_OK &&
               archive_read_support_filter_zstd(in->archive) == ARCHIVE_OK &&
               archive_read_open_fd(in->archive, in->fd, CHUNK) == ARCHIVE_OK;
        if (!good)
            malformed(in, err);
    }
    if (!good) {
        tar_in_close(in);
        return NULL;
    }
    limit_expansion(in, (unsigned long long)st.st_size);
    return in;
}

void tar_in_close(struct tar_in *in)
{
    if (!in)
        return;
    archive_read_free(in->archive);
    if (in->fd >= 0)
        close(in->fd);
    mem_free(in);
}

static bool go_on(struct tar_in *in, struct err *err)
{
    return !(in->spec.stop && *in->spec.stop) ||
           err_set(err, ERR_CANCELLED, "reading %s was cancelled", in->spec.file);
}

static unsigned long long position(const struct tar_in *in)
{
    return (unsigned long long)archive_filter_bytes(in->archive, 0);
}

static bool check_position(struct tar_in *in, struct err *err)
{
    const struct tar_in_spec *spec = &in->spec;
    return position(in) <= spec->bytes_max + SLACK + spec->entries_max * SLACK_PER_ENTRY ||
           err_set(err, ERR_LIMIT, "%s holds more than its entries may", spec->file);
}

/* Past what is left of an entry. What is compressed may be a hundred thousand times the file: nor
   must a link of such a size hold us. */
static bool skip_content(struct tar_in *in, struct err *err)
{
    const void *data;
    size_t len;
    la_int64_t at;
    int result = ARCHIVE_OK;
    if (!in->any)
        return true;
    if (archive_filter_code(in->archive, 0) == ARCHIVE_FILTER_NONE)
        return archive_read_data_skip(in->archive) == ARCHIVE_OK || malformed(in, err);
    while (result != ARCHIVE_EOF) {
        if (!go_on(in, err) || !check_position(in, err))
            return false;
        result = archive_read_data_block(in->archive, &data, &len, &at);
        if (result != ARCHIVE_OK && result != ARCHIVE_EOF)
            return malformed(in, err);
    }
    return true;
}

/* libarchive takes the end of the file for the end of the archive; a tar that was cut between two
   entries lacks the block of zeros. */
static bool check_end(struct tar_in *in, unsigned long long before, struct err *err)
{
    unsigned long long padding = -before % TAR_RECORD;
    return position(in) - before >= padding + TAR_RECORD ||
           err_set(err, ERR_REMOTE, "%s is no good archive: its end is missing", in->spec.file);
}

static bool read_type(struct tar_in *in, struct archive_entry *entry, struct tar_item *item,
                      struct err *err)
{
    static const struct {
        unsigned type;
        enum tar_type is;
    } types[] = {
        {AE_IFREG, TAR_FILE},  {AE_IFDIR, TAR_DIRECTORY}, {AE_IFLNK, TAR_SYMLINK},
        {AE_IFIFO, TAR_FIFO},  {AE_IFCHR, TAR_CHAR},      {AE_IFBLK, TAR_BLOCK_DEVICE},
        {AE_IFSOCK, TAR_SOCKET},
    };
    char shown[TAR_SHOWN_SIZE];
    item->link = archive_entry_hardlink(entry);
    if (item->link) {
        item->type = TAR_HARDLINK;
        return true;
    }
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (archive_entry_filetype(entry) == types[i].type) {
            item->type = types[i].is;
            item->link = item->type == TAR_SYMLINK ? archive_entry_symlink(entry) : NULL;
            return item->type != TAR_SYMLINK || item->link ||
                   err_set(err, ERR_REMOTE, "%s is no good archive: link '%s' has no target",
                           in->spec.file, tar_shown(item->path, shown));
        }
    return err_set(err, ERR_REMOTE, "%s is no good archive: entry '%s' is of no known type",
                   in->spec.file, tar_shown(item->path, shown));
}

static bool check_item(struct tar_in *in, const struct tar_item *item, struct err *err)
{
    const struct tar_in_spec *spec = &in->spec;
    char shown[TAR_SHOWN_SIZE];
    if (++in->entries > spec->entries_max)
        return err_set(err, ERR_LIMIT, "%s has more than %llu entries", spec->file,
                       spec->entries_max);
    if (strlen(item->path) > TAR_NAME_MAX || (item->link && strlen(item->link) > TAR_NAME_MAX))
        return err_set(err, ERR_LIMIT, "%s: a name is longer than %d bytes: '%s'", spec->file,
                       TAR_NAME_MAX, tar_shown(item->path, shown));
    if (item->size < 0)
        return err_set(err, ERR_REMOTE, "%s is no good archive: entry '%s' has a negative size",
                       spec->file, tar_shown(item->path, shown));
    if ((unsigned long long)item->size > spec->bytes_max - in->bytes)
        return err_set(err, ERR_LIMIT, "%s holds more than %llu bytes, with entry '%s'", spec->file,
                       spec->bytes_max, tar_shown(item->path, shown));
    in->bytes += (unsigned long long)item->size;
    return true;
}

bool tar_in_next(struct tar_in *in, struct tar_item *item, bool *end, struct err *err)
{
    struct archive_entry *entry;
    *end = false;
    *item = (struct tar_item){0};
    if (!go_on(in, err) || !skip_content(in, err) || !check_position(in, err))
        return false;
    unsigned long long before = position(in);
    int result = archive_read_next_header(in->archive, &entry);
    if (result == ARCHIVE_EOF) {
        *end = true;
        return check_end(in, before, err);
    }
    if (!is_sound(in, result) || !(item->path = archive_entry_pathname(entry)))
        return malformed(in, err);
    in->any = true;
    item->mode = archive_entry_mode(entry) & 07777;
    item->mtime = archive_entry_mtime(entry);
    if (!read_type(in, entry, item, err))
        return false;
    if (item->type == TAR_FILE)
        item->size = archive_entry_size(entry);
    return check_item(in, item, err);
}

bool tar_in_data(struct tar_in *in, const void **data, size_t *len, long long *offset,
                 struct err *err)
{
    la_int64_t at = 0;
    if (!go_on(in, err))
        return false;
    do {
        int result = archive_read_data_block(in->archive, data, len, &at);
        if (result == ARCHIVE_EOF) {
            *len = 0;
            return true;
        }
        if (result != ARCHIVE_OK)
            return malformed(in, err);
    } while (*len == 0);
    *offset = at;
    return true;
}

unsigned long long tar_in_entries(const struct tar_in *in)
{
    return in->entries;
}

unsigned long long tar_in_bytes(const struct tar_in *in)
{
    return in->bytes;
}
