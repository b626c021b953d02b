#include "prim/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "base/mem.h"

enum { BLOCK = 256 << 10 };

static bool crypto_failed(const char *what, struct err *err)
{
    char text[256];
    ERR_error_string_n(ERR_get_error(), text, sizeof text);
    return err_set(err, ERR_FAILED, "%s: %s", what, text);
}

bool hash_sha256(const void *data, size_t len, unsigned char out[HASH_SIZE], struct err *err)
{
    return EVP_Digest(data, len, out, NULL, EVP_sha256(), NULL) ||
           crypto_failed("SHA-256", err);
}

bool hash_hmac(const void *key, size_t key_len, const void *data, size_t len,
               unsigned char out[HASH_SIZE], struct err *err)
{
    if (key_len > INT_MAX)
        return err_set(err, ERR_LIMIT, "HMAC: a key of %zu bytes", key_len);
    return HMAC(EVP_sha256(), key, (int)key_len, data, len, out, NULL) ||
           crypto_failed("HMAC", err);
}

bool hash_random(void *out, size_t len, struct err *err)
{
    if (len > INT_MAX)
        return err_set(err, ERR_LIMIT, "%zu random bytes", len);
    return RAND_bytes(out, (int)len) == 1 || crypto_failed("random bytes", err);
}

void hash_hex(const void *data, size_t len, char *out)
{
    const unsigned char *byte = data;
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = "0123456789abcdef"[byte[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[byte[i] & 15];
    }
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool hash_unhex(const char *text, size_t len, void *out)
{
    unsigned char *to = out;
    for (size_t i = 0; i + 1 < len; i += 2) {
        int high = digit(text[i]), low = digit(text[i + 1]);
        if (high < 0 || low < 0)
            return false;
        *to++ = (unsigned char)(high << 4 | low);
    }
    return len % 2 == 0;
}

/* --- files -------------------------------------------------------------------------------- */

struct hash_file {
    char *path;
    struct work *work;
    hash_done *done;
    void *arg;
    struct hash_result result;
};

static bool digest(struct hash_file *file, int fd, EVP_MD_CTX *context, const atomic_bool *stop)
{
    struct err *err = &file->result.err;
    unsigned char out[HASH_SIZE];
    char *block = mem_grow(NULL, BLOCK);
    ssize_t got = 0;
    bool good = EVP_DigestInit_ex(context, EVP_sha256(), NULL);
    while (good && !atomic_load(stop) && (got = read(fd, block, BLOCK)) != 0) {
        if (got > 0)
            good = EVP_DigestUpdate(context, block, (size_t)got);
        else if (errno != EINTR)
            break;
    }
    if (got < 0)
        err_system(err, errno, "cannot read %s", file->path);
    mem_free(block);
    if (!good || !EVP_DigestFinal_ex(context, out, NULL))
        return crypto_failed("SHA-256", err);
    if (got < 0)
        return false;
    if (atomic_load(stop))
        return err_set(err, ERR_CANCELLED, "hashing %s was cancelled", file->path);
    hash_hex(out, sizeof out, file->result.hex);
    return true;
}

static void on_thread(void *arg, const atomic_bool *stop)
{
    struct hash_file *file = arg;
    struct err *err = &file->result.err;
    struct stat is;
    /* O_NONBLOCK: to open a pipe must not hold a place of the pool */
    int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        err_system(err, errno, "cannot open %s", file->path);
        return;
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (fstat(fd, &is) != 0)
        err_system(err, errno, "cannot look at %s", file->path);
    else if (!S_ISREG(is.st_mode))
        err_set(err, ERR_USAGE, "%s is not a regular file", file->path);
    else if (!context)
        crypto_failed("SHA-256", err);
    else
        digest(file, fd, context, stop);
    EVP_MD_CTX_free(context);
    OPENSSL_thread_stop(); /* the pool's threads outlive libcrypto, which frees nothing for them */
    close(fd);
}

static void on_done(void *arg, bool cancelled)
{
    struct hash_file *file = arg;
    if (cancelled)
        err_set(&file->result.err, ERR_CANCELLED, "hashing %s was cancelled", file->path);
    file->done(file->arg, &file->result);
    mem_free(file->path);
    mem_free(file);
}

struct hash_file *hash_file_start(struct loop *loop, const struct hash_file_spec *spec,
                                  hash_done *done, void *arg, struct err *err)
{
    (void)err; /* all failures come from the thread */
    struct hash_file *file = mem_alloc(sizeof *file);
    file->path = mem_text(spec->path);
    file->done = done;
    file->arg = arg;
    file->work = work_start(loop, &(struct work_spec){
        .run = on_thread, .done = on_done, .arg = file,
    });
    return file;
}

void hash_file_cancel(struct hash_file *file)
{
    work_cancel(file->work);
}
