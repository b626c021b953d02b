#include "test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"

struct run {
    const char *name; /* of the test that runs now */
    unsigned passed, failed;
    bool good;
    char dir[128];
};

static struct run run;

static void finish(void)
{
    if (!run.name)
        return;
    run.passed += run.good;
    run.failed += !run.good;
    run.name = NULL;
}

void test_it(const char *name)
{
    finish();
    run.name = name;
    run.good = true;
}

void test_check(bool good, const char *what, const char *file, int line)
{
    if (good)
        return;
    printf("FAILED: %s (%s:%d)\n  %s\n", run.name, file, line, what);
    run.good = false;
}

const char *test_dir(void)
{
    return run.dir;
}

int main(void)
{
    struct err err;
    const char *parent = getenv("TMPDIR");
    snprintf(run.dir, sizeof run.dir, "%.100s/orch-c-XXXXXX", parent ? parent : "/tmp");
    if (!mkdtemp(run.dir)) {
        perror(run.dir);
        return 1;
    }
    test_buf();
    test_err();
    test_file();
    test_glob();
    test_path();
    test_pool();
    finish();
    tree_remove(run.dir, NULL, &err);
    printf("%u passed, %u failed, 0 skipped\n", run.passed, run.failed);
    return run.failed > 0;
}
