#include "prim/tar_out.h"

#include <string.h>

#include <archive.h>
#include <archive_entry.h>
#include <openssl/evp.h>
#include <zstd.h>

#include "base/buf.h"
#include "base/mem.h"

enum {
    BLOCK = 128 << 10,
    GZIP_LEVEL = 6,
    ZSTD_LEVEL = 3,
    ZSTD_THREADS = 4,
    HEADER_MAX = 1 << 20,
};

struct digest {
    EVP_MD_CTX *sum; /* NULL = nobody asked */
    char text[TAR_DIGEST_SIZE];
};

struct tar_out {
    struct tar_out_spec spec;
    struct archive *gzip;
    ZSTD_CCtx *zstd;
    char *tar_block, *out_block; /* bytes not yet handed on */
    size_t tar_held, out_held;
    struct buf header;
    unsigned long long size, left; /* left: content that the entry still lacks */
    size_t pad;                    /* zeros that it needs behind that */
    struct digest whole, inner;
    bool over;      /* the sink gets nothing more */
    struct err err; /* what the sink said, inside a library's callback */
};

static bool gzip_failed(struct tar_out *out, struct err *err)
{
    if (out->err.kind != ERR_NONE) {
        if (err)
            *err = out->err;
        return false;
    }
    const char *why = archive_error_string(out->gzip);
    return err_set(err, ERR_IO, "cannot compress: %s", why ? why : "no reason given");
}

/* --- the last stage: hash, hold, sink --------------------------------------------------------- */

static void digest_add(struct digest *digest, const void *data, size_t len)
{
    if (digest->sum)
        EVP_DigestUpdate(digest->sum, data, len);
}

static bool flush_out(struct tar_out *out, struct err *err)
{
    size_t len = out->out_held;
    out->out_held = 0;
    if (len == 0)
        return true;
    digest_add(&out->whole, out->out_block, len);
    out->size += len;
    return out->spec.sink(out->spec.arg, out->out_block, len, err);
}

static bool put_out(struct tar_out *out, const char *data, size_t len, struct err *err)
{
    while (len > 0) {
        size_t room = BLOCK - out->out_held, part = len < room ? len : room;
        memcpy(out->out_block + out->out_held, data, part);
        out->out_held += part;
        data += part;
        len -= part;
        if (out->out_held == BLOCK && !flush_out(out, err))
            return false;
    }
    return true;
}

static la_ssize_t on_gzip(struct archive *archive, void *arg, const void *data, size_t len)
{
    struct tar_out *out = arg;
    if (out->over || put_out(out, data, len, &out->err))
        return (la_ssize_t)len;
    archive_set_error(archive, -1, "%s", out->err.message);
    return -1;
}

/* --- the middle: compression ------------------------------------------------------------------ */

static bool put_zstd(struct tar_out *out, const char *data, size_t len, bool last,
                     struct err *err)
{
    char chunk[16 << 10];
    ZSTD_inBuffer in = {data, len, 0};
    for (;;) {
        ZSTD_outBuffer to = {chunk, sizeof chunk, 0};
        size_t more = ZSTD_compressStream2(out->zstd, &to, &in,
                                           last ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(more))
            return err_set(err, ERR_IO, "cannot compress: %s", ZSTD_getErrorName(more));
        if (!put_out(out, chunk, to.pos, err))
            return false;
        if (last ? more == 0 : in.pos == in.size)
            return true;
    }
}

static bool flush_tar(struct tar_out *out, struct err *err)
{
    size_t len = out->tar_held;
    out->tar_held = 0;
    digest_add(&out->inner, out->tar_block, len);
    if (out->zstd)
        return put_zstd(out, out->tar_block, len, false, err);
    if (!out->gzip)
        return put_out(out, out->tar_block, len, err);
    if (len > 0 && archive_write_data(out->gzip, out->tar_block, len) != (la_ssize_t)len)
        return gzip_failed(out, err);
    return true;
}

static bool put_tar(struct tar_out *out, const char *data, size_t len, struct err *err)
{
    while (len > 0) {
        size_t room = BLOCK - out->tar_held, part = len < room ? len : room;
        memcpy(out->tar_block + out->tar_held, data, part);
        out->tar_held += part;
        data += part;
        len -= part;
        if (out->tar_held == BLOCK && !flush_tar(out, err))
            return false;
    }
    return true;
}

/* gzip comes from libarchive: a raw "archive" of one entry, whose header says nothing of the
   time. */
static bool open_gzip(struct tar_out *out, int level, struct err *err)
{
    char number[16] = {(char)('0' + (level ? level : GZIP_LEVEL))};
    struct archive *gzip = out->gzip = archive_write_new();
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_copy_pathname(entry, "tar");
    bool good = archive_write_set_format_raw(gzip) == ARCHIVE_OK &&
                archive_write_add_filter_gzip(gzip) == ARCHIVE_OK &&
                archive_write_set_filter_option(gzip, "gzip", "timestamp", NULL) == ARCHIVE_OK &&
                archive_write_set_filter_option(gzip, "gzip", "compression-level", number) ==
                    ARCHIVE_OK &&
                archive_write_set_bytes_per_block(gzip, 0) == ARCHIVE_OK &&
                archive_write_open(gzip, out, NULL, on_gzip, NULL) == ARCHIVE_OK &&
                archive_write_header(gzip, entry) == ARCHIVE_OK;
    archive_entry_free(entry);
    return good || gzip_failed(out, err);
}

static bool open_zstd(struct tar_out *out, int level, struct err *err)
{
    out->zstd = ZSTD_createCCtx();
    if (!out->zstd)
        return err_set(err, ERR_IO, "zstd cannot start");
    ZSTD_CCtx_setParameter(out->zstd, ZSTD_c_compressionLevel, level ? level : ZSTD_LEVEL);
    ZSTD_CCtx_setParameter(out->zstd, ZSTD_c_checksumFlag, 1);
    /* same bytes for any number */
    ZSTD_CCtx_setParameter(out->zstd, ZSTD_c_nbWorkers, ZSTD_THREADS);
    return true;
}

/* --- the first stage: entries ----------------------------------------------------------------- */

static void digest_start(struct digest *digest)
{
    digest->sum = EVP_MD_CTX_new();
    EVP_DigestInit_ex(digest->sum, EVP_sha256(), NULL);
}

struct tar_out *tar_out_new(const struct tar_out_spec *spec, struct err *err)
{
    struct tar_out *out = mem_alloc(sizeof *out);
    out->spec = *spec;
    out->tar_block = mem_alloc(BLOCK);
    out->out_block = mem_alloc(BLOCK);
    if (spec->digests) {
        digest_start(&out->whole);
        digest_start(&out->inner);
    }
    buf_init(&out->header, HEADER_MAX);
    if (spec->compression == TAR_NONE || (spec->compression == TAR_GZIP
                                              ? open_gzip(out, spec->level, err)
                                              : open_zstd(out, spec->level, err)))
        return out;
    tar_out_free(out);
    return NULL;
}

void tar_out_free(struct tar_out *out)
{
    if (!out)
        return;
    out->over = true;
    archive_write_free(out->gzip); /* writes its end if it had none yet */
    ZSTD_freeCCtx(out->zstd);
    EVP_MD_CTX_free(out->whole.sum);
    EVP_MD_CTX_free(out->inner.sum);
    buf_fini(&out->header);
    mem_free(out->tar_block);
    mem_free(out->out_block);
    mem_free(out);
}

static bool put_zeros(struct tar_out *out, size_t len, struct err *err)
{
    static const char zeros[2 * TAR_BLOCK];
    return put_tar(out, zeros, len, err);
}

static bool end_entry(struct tar_out *out, struct err *err)
{
    size_t len = out->pad;
    out->pad = 0;
    return put_zeros(out, len, err);
}

bool tar_out_entry(struct tar_out *out, const struct tar_entry *entry, struct err *err)
{
    buf_clear(&out->header);
    if (!end_entry(out, err))
        return false;
    if (!tar_header(&out->header, entry))
        return err_set(err, ERR_LIMIT, "the name '%.200s…' is too long for an archive",
                       entry->path);
    if (!put_tar(out, out->header.data, out->header.len, err))
        return false;
    out->left = tar_header_has_content(entry) ? (unsigned long long)entry->st->st_size : 0;
    out->pad = (size_t)(-out->left & (TAR_BLOCK - 1));
    return true;
}

bool tar_out_data(struct tar_out *out, const void *data, size_t len, struct err *err)
{
    out->left -= len;
    return put_tar(out, data, len, err);
}

static void digest_end(struct digest *digest)
{
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (!digest->sum)
        return;
    EVP_DigestFinal_ex(digest->sum, raw, &len);
    memcpy(digest->text, "sha256:", 7);
    for (unsigned i = 0; i < len; i++) {
        digest->text[7 + 2 * i] = "0123456789abcdef"[raw[i] >> 4];
        digest->text[8 + 2 * i] = "0123456789abcdef"[raw[i] & 15];
    }
}

bool tar_out_finish(struct tar_out *out, struct err *err)
{
    if (!end_entry(out, err) || !put_zeros(out, 2 * TAR_BLOCK, err) || !flush_tar(out, err))
        return false;
    if (out->gzip && archive_write_close(out->gzip) != ARCHIVE_OK)
        return gzip_failed(out, err);
    if (out->zstd && !put_zstd(out, "", 0, true, err))
        return false;
    if (!flush_out(out, err))
        return false;
    digest_end(&out->whole);
    digest_end(&out->inner);
    return true;
}

void tar_out_break(struct tar_out *out)
{
    struct err ignored;
    char nonsense[TAR_BLOCK];
    memset(nonsense, '?', sizeof nonsense);
    if (out->left > 0 || (end_entry(out, &ignored) &&
                          put_tar(out, nonsense, sizeof nonsense, &ignored)))
        if (flush_tar(out, &ignored))
            flush_out(out, &ignored);
}

const char *tar_out_digest(const struct tar_out *out)
{
    return out->whole.text;
}

const char *tar_out_diff_id(const struct tar_out *out)
{
    return out->inner.text;
}

unsigned long long tar_out_size(const struct tar_out *out)
{
    return out->size;
}
