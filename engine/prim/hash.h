/* SHA-256, HMAC and random bytes over libcrypto. */
#ifndef PRIM_HASH_H
#define PRIM_HASH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "loop/loop.h"

enum { HASH_SIZE = 32, HASH_HEX_SIZE = 2 * HASH_SIZE + 1 };

/* Each false only when libcrypto fails; err (kind failed) then says how. */
bool hash_sha256(const void *data, size_t len, unsigned char out[HASH_SIZE], struct err *err);
bool hash_hmac(const void *key, size_t key_len, const void *data, size_t len,
               unsigned char out[HASH_SIZE], struct err *err);
bool hash_random(void *out, size_t len, struct err *err);

/* Lower-case digits, 2 * len of them; no closing NUL. */
void hash_hex(const void *data, size_t len, char *out);
/* Digits of either case; false on anything else or an odd number. out has len / 2 bytes. */
bool hash_unhex(const char *text, size_t len, void *out);

struct hash_result {
    struct err err;
    char hex[HASH_HEX_SIZE];
};
typedef void hash_done(void *arg, const struct hash_result *result);

/* SHA-256 of a regular file's bytes, read on a thread of the pool. */
struct hash_file_spec {
    const char *path;
};
struct hash_file *hash_file_start(struct loop *loop, const struct hash_file_spec *spec,
                                  hash_done *done, void *arg, struct err *err);
void hash_file_cancel(struct hash_file *file);

#endif
