#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "test.h"

static void test_ceiling(void)
{
    struct buf buf;
    buf_init(&buf, 8);
    test_it("a buffer takes as much as its ceiling says");
    CHECK(buf_text(&buf, "1234") && buf_text(&buf, "5678"));
    CHECK(buf.len == 8 && strcmp(buf.data, "12345678") == 0);
    test_it("a buffer takes nothing of what would pass its ceiling");
    CHECK(!buf_char(&buf, '9') && !buf_format(&buf, "%d", 9) && !buf_room(&buf, 1));
    CHECK(buf.len == 8 && strcmp(buf.data, "12345678") == 0);
    CHECK(buf_add(&buf, "", 0) && buf_room(&buf, 0));
    test_it("a length near the largest number does not wrap round");
    buf_drop(&buf, 7);
    CHECK(strcmp(buf.data, "8") == 0);
    CHECK(!buf_room(&buf, (size_t)-1) && !buf_room(&buf, (size_t)-2) && !buf_room(&buf, 8));
    CHECK(!buf_format(&buf, "%100s", "x") && strcmp(buf.data, "8") == 0);
    test_it("an emptied buffer can be filled again");
    buf_clear(&buf);
    CHECK(buf.len == 0 && buf.data[0] == '\0' && buf_text(&buf, "12345678"));
    buf_fini(&buf);
    CHECK(!buf.data && buf.max == 8);
}

static void test_nothing(void)
{
    struct buf buf;
    buf_init(&buf, 0);
    test_it("a ceiling of zero lets nothing in");
    CHECK(!buf_char(&buf, 'x') && buf_text(&buf, "") && buf.len == 0);
    char *taken = buf_take(&buf);
    CHECK(taken && taken[0] == '\0' && !buf.data);
    mem_free(taken);
    buf_init(&buf, 10);
    taken = buf_take(&buf);
    CHECK(taken && taken[0] == '\0');
    mem_free(taken);
    buf_fini(&buf);
}

static void test_growth(void)
{
    struct buf buf;
    buf_init(&buf, 1 << 20);
    test_it("a buffer that grows keeps what it holds");
    for (int i = 0; i < 100000; i++)
        buf_format(&buf, "%c", 'a' + i % 26);
    CHECK(buf.len == 100000 && strlen(buf.data) == 100000 && buf.cap < 4 * buf.len);
    CHECK(buf.data[99999] == 'a' + 99999 % 26);
    buf_drop(&buf, 99990);
    CHECK(buf.len == 10 && buf.data[0] == 'a' + 99990 % 26 && buf.data[10] == '\0');
    buf_fini(&buf);
}

void test_buf(void)
{
    test_ceiling();
    test_nothing();
    test_growth();
}
