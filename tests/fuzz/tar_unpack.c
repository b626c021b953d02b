/* An archive: listed, and unpacked into a scratch directory, beside which nothing may change.

   The checksums of headers are made right first, or else hardly an input would get past them. */
#include "prim/tar_unpack.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "fuzz.h"

enum { BLOCK = 512, CHECKSUM_AT = 148, SIZE_AT = 124 };

static char scratch[64];

static void remove_scratch(void)
{
    struct err err;
    if (chdir("/") == 0)
        tree_remove(scratch, NULL, &err);
}

static void write_file(const char *path, const void *data, size_t len)
{
    struct err err;
    fuzz_check(file_replace(&(struct file_spec){.path = path, .data = data, .len = len}, &err),
               "the scratch directory can be written");
}

static void make_scratch(void)
{
    const char *parent = getenv("TMPDIR");
    snprintf(scratch, sizeof scratch, "%.40s/orch-fuzz-XXXXXX", parent ? parent : "/tmp");
    fuzz_check(mkdtemp(scratch) && chdir(scratch) == 0, "there is a scratch directory");
    atexit(remove_scratch);
    fuzz_check(mkdir("outside", 0755) == 0, "the scratch directory can be written");
    write_file("outside/file", "as it was", 9);
}

static size_t entries_of(const char *path)
{
    size_t count = 0;
    DIR *dir = opendir(path);
    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count;
}

static void check_outside(void)
{
    struct buf text;
    struct err err;
    struct stat st;
    buf_init(&text, 64);
    fuzz_check(file_read("outside/file", &text, &err) && text.len == 9 &&
                   memcmp(text.data, "as it was", 9) == 0,
               "a file outside stays as it is");
    fuzz_check(lstat("outside/file", &st) == 0 && st.st_nlink == 1 && (st.st_mode & 07022) == 0,
               "a file outside keeps its mode, and gets no link");
    fuzz_check(lstat("outside", &st) == 0 && S_ISDIR(st.st_mode) && (st.st_mode & 0777) == 0755,
               "a directory outside keeps its mode");
    fuzz_check(entries_of("outside") == 3 && entries_of(".") == 5, "nothing is made outside");
    fuzz_check(access("/orch-fuzz-outside", F_OK) != 0, "nothing is made in the root");
    buf_fini(&text);
}

static void correct_checksums(uint8_t *data, size_t size)
{
    for (size_t at = 0; at + BLOCK <= size;) {
        uint8_t *header = data + at;
        unsigned sum = 8 * ' ';
        for (size_t i = 0; i < BLOCK; i++)
            sum += i >= CHECKSUM_AT && i < CHECKSUM_AT + 8 ? 0 : header[i];
        at += BLOCK;
        if (sum == 8 * ' ')
            continue;
        char digits[8], length[13];
        snprintf(digits, sizeof digits, "%06o", sum & 0777777);
        memcpy(header + CHECKSUM_AT, digits, sizeof digits);
        memcpy(length, header + SIZE_AT, 12);
        length[12] = '\0';
        const unsigned long content = strtoul(length, NULL, 8);
        at += content < size ? (content + BLOCK - 1) / BLOCK * BLOCK : 0;
    }
}

static bool is_plain(const uint8_t *data, size_t size)
{
    return size >= BLOCK && memcmp(data, "\x1f\x8b", 2) != 0 &&
           memcmp(data, "\x28\xb5\x2f\xfd", 4) != 0;
}

static void on_done(void *arg, struct tar_unpack_result *result)
{
    enum err_kind *kind = arg;
    *kind = result->err.kind;
}

static enum err_kind unpack(struct loop *loop, const char *into)
{
    enum err_kind kind = ERR_CANCELLED;
    const struct tar_unpack_spec spec = {.file = "archive", .into = into, .entries_max = 200,
                                         .bytes_max = 1 << 20, .names = true};
    tar_unpack_start(loop, &spec, on_done, &kind);
    while (loop_live(loop) > 0)
        loop_turn(loop, true);
    return kind;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct loop *loop;
    struct err err;
    if (!loop) {
        loop = loop_new(&err);
        make_scratch();
    }
    uint8_t *archive = mem_copy(data, size);
    if (is_plain(archive, size))
        correct_checksums(archive, size);
    write_file("archive", archive, size);
    mem_free(archive);
    fuzz_check(mkdir("into", 0755) == 0, "the scratch directory can be written");
    const enum err_kind listed = unpack(loop, NULL), unpacked = unpack(loop, "into");
    fuzz_check(listed == ERR_NONE || unpacked != ERR_NONE, "what is unpacked can be listed");
    fuzz_check(unpacked != ERR_USAGE && unpacked != ERR_CANCELLED, "it is the archive's fault");
    check_outside();
    fuzz_check(tree_remove("into", NULL, &err), "what was unpacked can be removed");
    return 0;
}
