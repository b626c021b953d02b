#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/utf8.h"
#include "test.h"

enum { ROOM = sizeof ((struct err *)0)->message - 1 };

/* An error whose text is so many bytes of these. */
static struct err long_error(const char *unit, size_t len)
{
    static char text[2 * ROOM];
    struct err err;
    for (size_t i = 0; i < len; i++)
        text[i] = unit[i % strlen(unit)];
    text[len] = '\0';
    err_set(&err, ERR_REMOTE, "%s", text);
    return err;
}

static bool cut_well(const struct err *err)
{
    const size_t len = strlen(err->message);
    return len <= ROOM && len > ROOM - 8 && utf8_valid(err->message, len) &&
           strcmp(err->message + len - strlen("…"), "…") == 0;
}

void test_err(void)
{
    test_it("an error that fits is not cut");
    struct err err = long_error("x", ROOM);
    CHECK(strlen(err.message) == ROOM && err.message[ROOM - 1] == 'x');
    test_it("a longer error ends in an ellipsis");
    err = long_error("x", ROOM + 1);
    CHECK(cut_well(&err));
    test_it("an error is cut between characters");
    static const char *const units[] = {"é", "xé", "日", "x日", "xx日", "😀", "x😀", "xx😀", "xxx😀"};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        for (size_t more = 1; more < 9; more++) {
            err = long_error(units[i], ROOM + more);
            CHECK(cut_well(&err));
        }
    test_it("an error of the system has its number, kind and words");
    CHECK(!err_system(&err, ENOENT, "cannot open %s", "x") && err.code == ENOENT);
    CHECK(err.kind == ERR_MISSING &&
        strcmp(err.message, "cannot open x: No such file or directory") == 0);
    err_system(&err, EIO, "%s", long_error("日", 2 * ROOM - 1).message);
    CHECK(utf8_valid(err.message, strlen(err.message)));
    CHECK(!err_set(NULL, ERR_IO, "nobody asks"));
    test_it("each kind has a name and an exit code");
    for (enum err_kind kind = ERR_FAILED; kind <= ERR_CANCELLED; kind++)
        CHECK(err_kind_named(err_kind_name(kind)) == kind && err_exit_code(kind) > 0);
    CHECK(err_kind_named("none") == ERR_NONE && err_kind_named("no such") == ERR_NONE);
}
