#include "bind/bind.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/term.h"
#include "bind/host.h"
#include "bind/options.h"

#define READER "orch.term.reader"

enum { TEXT_MAX = 16 << 20, PARTING_MAX = 4096, ANSWER_MAX = 4096 };

/* A person's line from the standard input. The terminal itself edits it: one read gets all of
   it. */
struct reader {
    struct wait wait;
    struct host *host;
    struct watch *watch;
    char line[ANSWER_MAX];
    ssize_t len; /* -1 = none, see err */
    struct err err;
    bool hidden; /* saved is to be restored */
    struct termios saved;
};

static void reader_release(struct reader *reader)
{
    watch_free(reader->watch);
    reader->watch = NULL;
    if (reader->hidden)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &reader->saved);
    reader->hidden = reader->host->echo_is_off = false;
}

static int reader_gc(lua_State *L)
{
    struct reader *reader = lua_touserdata(L, 1);
    if (reader->host)
        reader_release(reader);
    return 0;
}

static void on_line(void *arg, int events)
{
    struct reader *reader = arg;
    (void)events;
    reader->len = read(STDIN_FILENO, reader->line, sizeof reader->line);
    if (reader->len < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (reader->len < 0)
        err_system(&reader->err, errno, "cannot read from the terminal");
    if (reader->len == 0)
        err_set(&reader->err, ERR_MISSING, "nobody answers: the terminal's input has ended");
    reader_release(reader);
    task_wake(reader);
}

static void reader_cancel(void *op)
{
    reader_release(op);
    task_wake(op);
}

static int k_line(lua_State *L, int status, lua_KContext context)
{
    struct reader *reader = (struct reader *)context;
    (void)status;
    if (reader->len <= 0)
        return bind_fail(L, &reader->err);
    size_t len = (size_t)reader->len;
    lua_pushlstring(L, reader->line, reader->line[len - 1] == '\n' ? len - 1 : len);
    return 1;
}

static const struct opt line_options[] = {{"hidden", OPT_BOOL, false}, {NULL, OPT_ANY, false}};

/* term.read_line { hidden = false } -> text | nil, err */
static int l_read_line(lua_State *L)
{
    struct err err;
    if (lua_isnoneornil(L, 1))
        lua_settop(L, 0), lua_newtable(L);
    bind_options(L, 1, line_options, "term.read_line");
    if (!isatty(STDIN_FILENO)) {
        err_set(&err, ERR_MISSING, "there is no terminal to read an answer from");
        return bind_fail(L, &err);
    }
    struct reader *reader = bind_wait(L, sizeof *reader, READER, reader_cancel);
    reader->host = bind_host(L);
    if (opt_bool(L, 1, "hidden", false) && tcgetattr(STDIN_FILENO, &reader->saved) == 0) {
        struct termios quiet = reader->saved;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        reader->hidden = reader->host->echo_is_off = true;
        tcsetattr(STDIN_FILENO, TCSADRAIN, &quiet);
    }
    reader->watch = watch_new(bind_loop(L), STDIN_FILENO, on_line, reader);
    watch_set(reader->watch, WATCH_READ);
    return bind_yield(L, reader, k_line);
}

static int push_result(lua_State *L, struct buf *text, bool good)
{
    if (good)
        lua_pushlstring(L, text->len ? text->data : "", text->len);
    buf_fini(text);
    return good ? 1 : luaL_error(L, "a text to be shown has more than %d bytes", TEXT_MAX);
}

/* term.size(fd) -> columns, rows | nil */
static int l_size(lua_State *L)
{
    unsigned columns, rows;
    if (!term_size((int)luaL_checkinteger(L, 1), &columns, &rows))
        return 0;
    lua_pushinteger(L, columns);
    lua_pushinteger(L, rows);
    return 2;
}

/* term.is_tty(fd) */
static int l_is_tty(lua_State *L)
{
    lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
    return 1;
}

/* term.printable(text[, colours]) */
static int l_printable(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    if (term_is_plain(text, len)) {
        lua_settop(L, 1);
        return 1;
    }
    struct buf out;
    buf_init(&out, TEXT_MAX);
    return push_result(L, &out, term_printable(text, len, lua_toboolean(L, 2), &out));
}

/* term.fit(text, columns) -> text, columns */
static int l_fit(lua_State *L)
{
    size_t len;
    unsigned used;
    const char *text = luaL_checklstring(L, 1, &len);
    lua_Integer columns = luaL_checkinteger(L, 2);
    struct buf out;
    buf_init(&out, TEXT_MAX);
    columns = columns < 0 ? 0 : columns > TEXT_MAX ? TEXT_MAX : columns;
    push_result(L, &out, term_fit(text, len, (unsigned)columns, &out, &used));
    lua_pushinteger(L, used);
    return 2;
}

/* term.parting(fd, text): written when a second Ctrl-C ends the program at once; nil takes it
   back */
static int l_parting(lua_State *L)
{
    size_t len;
    int fd = (int)luaL_checkinteger(L, 1);
    const char *text = luaL_optlstring(L, 2, "", &len);
    luaL_argcheck(L, len <= PARTING_MAX, 2, "too long");
    struct host *host = bind_host(L);
    mem_free(host->parting);
    host->parting = NULL;
    host->parting_fd = fd;
    host->parting_len = len;
    if (len > 0)
        host->parting = mem_copy(text, len);
    return 0;
}

/* Of a pipe: its reader has gone. */
static bool has_no_reader(int fd)
{
    struct pollfd asked = {.fd = fd, .events = POLLOUT};
    return poll(&asked, 1, 0) == 1 && (asked.revents & POLLERR) != 0;
}

/* term.flush() -> true | nil, err */
static int l_flush(lua_State *L)
{
    const int error = fflush(stdout) == 0 ? 0 : errno;
    if ((error == 0 && !ferror(stdout)) || has_no_reader(STDOUT_FILENO)) {
        lua_pushboolean(L, true);
        return 1;
    }
    struct err err;
    if (error != 0)
        err_system(&err, error, "cannot write to the standard output");
    else /* it was said when nobody looked */
        err_set(&err, ERR_IO, "cannot write to the standard output: it is full, or closed");
    return bind_fail(L, &err);
}

static const luaL_Reg functions[] = {
    {"size", l_size}, {"is_tty", l_is_tty},     {"printable", l_printable},
    {"fit", l_fit},   {"parting", l_parting}, {"read_line", l_read_line}, {"flush", l_flush},
    {NULL, NULL},
};

int luaopen_orch_term(lua_State *L);
int luaopen_orch_term(lua_State *L)
{
    bind_type(L, READER, NULL, reader_gc);
    bind_module(L, functions);
    return 1;
}
