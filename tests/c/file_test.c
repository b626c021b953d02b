#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "test.h"

enum { SIZE = 1 << 16 };

static char *in_dir(const char *name)
{
    return path_join(test_dir(), name);
}

static bool replace(const char *path, const char *data, size_t len, struct err *err)
{
    return file_replace(&(struct file_spec){.path = path, .data = data, .len = len}, err);
}

static bool holds(const char *path, const char *text)
{
    struct buf buf;
    struct err err;
    buf_init(&buf, 2 * SIZE);
    const bool same = file_read(path, &buf, &err) && buf.len == strlen(text) &&
                      (buf.len == 0 || memcmp(buf.data, text, buf.len) == 0);
    buf_fini(&buf);
    return same;
}

static unsigned mode_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? st.st_mode & 07777 : 0;
}

/* Puts one letter or another in place of the file's content until killed. */
static void replace_for_ever(const char *path)
{
    char data[SIZE];
    for (char letter = 'a';; letter = letter == 'a' ? 'b' : 'a') {
        memset(data, letter, sizeof data);
        replace(path, data, sizeof data, NULL);
    }
}

static bool is_whole(const char *path)
{
    struct buf buf;
    struct err err;
    buf_init(&buf, 2 * SIZE);
    bool whole = file_read(path, &buf, &err) && buf.len == SIZE;
    for (size_t i = 1; whole && i < buf.len; i++)
        whole = buf.data[i] == buf.data[0];
    buf_fini(&buf);
    return whole;
}

static void test_atomic(void)
{
    char *path = in_dir("whole"), data[SIZE];
    memset(data, 'a', sizeof data);
    test_it("a file that is replaced is always whole");
    CHECK(replace(path, data, sizeof data, NULL));
    const pid_t writer = fork();
    if (writer == 0)
        replace_for_ever(path);
    for (int i = 0; i < 500; i++)
        CHECK(is_whole(path));
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
    CHECK(is_whole(path));
    mem_free(path);
}

static void test_modes(void)
{
    struct err err;
    char *path = in_dir("mode");
    const mode_t mask = umask(027);
    test_it("a new file has the mode asked for, an old one keeps its own");
    CHECK(replace(path, "1", 1, &err) && mode_of(path) == 0640);
    CHECK(chmod(path, 0604) == 0 && replace(path, "22", 2, &err) && mode_of(path) == 0604);
    CHECK(holds(path, "22") && unlink(path) == 0);
    const struct file_spec spec = {.path = path, .data = "3", .len = 1, .mode = 0601,
        .durable = true};
    CHECK(file_replace(&spec, &err) && mode_of(path) == 0601 && file_append(&spec, &err));
    CHECK(holds(path, "33"));
    umask(mask);
    mem_free(path);
}

/* In a process of its own, where a file may not grow beyond a few bytes. */
static int replace_in_vain(const char *path)
{
    struct err err = {0};
    const struct rlimit limit = {.rlim_cur = 4, .rlim_max = 4};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    const bool replaced = replace(path, "too long for this", 17, &err);
    return !replaced && err.kind == ERR_IO && strstr(err.message, path) ? 0 : 1;
}

static unsigned entries_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (unsigned)st.st_nlink : 0;
}

static void test_failure(void)
{
    int status = -1;
    struct err err;
    char *dir = in_dir("failure"), *path = path_join(dir, "file"),
        *none = path_join(dir, "no/file");
    test_it("a file that cannot be written stays as it was, with nothing beside it");
    CHECK(mkdir(dir, 0755) == 0 && replace(path, "old", 3, &err));
    const pid_t child = fork();
    if (child == 0)
        _exit(replace_in_vain(path));
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(holds(path, "old") && unlink(path) == 0);
    CHECK(rmdir(dir) == 0); /* so it was empty */
    test_it("a missing directory is told");
    CHECK(!replace(none, "x", 1, &err) && err.kind == ERR_MISSING && err.code == ENOENT);
    mem_free(none);
    mem_free(path);
    mem_free(dir);
}

static void test_ceiling(void)
{
    struct err err;
    struct buf small;
    char *path = in_dir("small");
    test_it("a file longer than the buffer is refused");
    buf_init(&small, 4);
    CHECK(replace(path, "12345", 5, &err) && !file_read(path, &small, &err) &&
        err.kind == ERR_LIMIT);
    buf_clear(&small);
    CHECK(replace(path, "1234", 4, &err) && file_read(path, &small, &err) && small.len == 4);
    buf_fini(&small);
    mem_free(path);
}

static void test_tree(void)
{
    struct err err;
    atomic_bool stop = true;
    char *tree = in_dir("tree"), *deep = path_join(tree, "a/b/c"), *other = in_dir("other");
    char *link = path_join(tree, "link"), *file = path_join(other, "file");
    test_it("a tree is removed without following its links");
    CHECK(dir_make(deep, 0755, &err) && dir_make(other, 0755, &err) && replace(file, "x", 1, &err));
    CHECK(symlink(other, link) == 0 && chmod(deep, 0) == 0);
    CHECK(!tree_remove(tree, &stop, &err) && err.kind == ERR_CANCELLED && access(tree, F_OK) == 0);
    CHECK(tree_remove(tree, NULL, &err) && access(tree, F_OK) != 0 && holds(file, "x"));
    CHECK(symlink(other, tree) == 0 && tree_remove(tree, NULL, &err) && holds(file, "x"));
    test_it("what is not there is removed already");
    CHECK(tree_remove(tree, NULL, &err));
    test_it("a directory is made with those above it, a file in its place is a conflict");
    CHECK(dir_make(deep, 0755, &err) && dir_make(deep, 0755, &err) && entries_of(deep) > 0);
    CHECK(!dir_make(file, 0755, &err) && err.kind == ERR_CONFLICT);
    mem_free(file);
    mem_free(link);
    mem_free(other);
    mem_free(deep);
    mem_free(tree);
}

static void test_depth(void)
{
    enum { DEPTH = 3000 };
    struct err err;
    char *top = in_dir("deep");
    test_it("a tree deeper than any path is removed");
    int at = mkdir(top, 0755) == 0 ? open(top, O_RDONLY | O_DIRECTORY) : -1;
    for (int i = 0; i < DEPTH && at >= 0; i++) {
        const int next = mkdirat(at, "d", 0755) == 0 ? openat(at, "d", O_RDONLY | O_DIRECTORY) : -1;
        close(at);
        at = next;
    }
    CHECK(at >= 0);
    close(at);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max; /* as the engine does at its start */
    setrlimit(RLIMIT_NOFILE, &limit);
    CHECK(tree_remove(top, NULL, &err) && access(top, F_OK) != 0);
    mem_free(top);
}

void test_file(void)
{
    test_atomic();
    test_modes();
    test_failure();
    test_ceiling();
    test_tree();
    test_depth();
}
