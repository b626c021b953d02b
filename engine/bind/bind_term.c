#include "bind/bind.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/term.h"
#include "bind/host.h"
#include "bind/options.h"

#define READER "orch.term.reader"
#define LEASE "orch.term.lease"
#define RESIZE "orch.term.resize"

enum { TEXT_MAX = 16 << 20, PARTING_MAX = 4096, PIECE_MAX = 16 << 10 };

/* --- reading ---------------------------------------------------------------------------------- */

/* What one read of the standard input gives: of a terminal that edits, a whole line. */
struct reader {
    struct wait wait;
    struct host *host;
    struct watch *watch;
    char piece[PIECE_MAX];
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
    if (reader->hidden)
        reader->host->mode = NULL;
    reader->hidden = false;
}

static int reader_gc(lua_State *L)
{
    struct reader *reader = lua_touserdata(L, 1);
    if (reader->host)
        reader_release(reader);
    return 0;
}

/* False: there is nothing yet. */
static bool reader_read(struct reader *reader)
{
    reader->len = read(STDIN_FILENO, reader->piece, sizeof reader->piece);
    if (reader->len < 0 && (errno == EINTR || errno == EAGAIN))
        return false;
    if (reader->len < 0)
        err_system(&reader->err, errno, "cannot read from the standard input");
    reader_release(reader);
    return true;
}

static void on_readable(void *arg, int events)
{
    (void)events;
    if (reader_read(arg))
        task_wake(arg);
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
    if (reader->len == 0)
        err_set(&reader->err, ERR_MISSING, "nobody answers: the terminal's input has ended");
    if (reader->len <= 0)
        return bind_fail(L, &reader->err);
    size_t len = (size_t)reader->len;
    lua_pushlstring(L, reader->piece, reader->piece[len - 1] == '\n' ? len - 1 : len);
    return 1;
}

static int k_read(lua_State *L, int status, lua_KContext context)
{
    struct reader *reader = (struct reader *)context;
    (void)status;
    if (reader->len < 0)
        return bind_fail(L, &reader->err);
    if (reader->len == 0)
        return 0;
    lua_pushlstring(L, reader->piece, (size_t)reader->len);
    return 1;
}

/* term.read() -> piece | nothing at the end | nil, err */
static int l_read(lua_State *L)
{
    struct reader *reader = bind_wait(L, sizeof *reader, READER, reader_cancel);
    reader->host = bind_host(L);
    reader->watch = watch_new(bind_loop(L), STDIN_FILENO, on_readable, reader);
    if (!reader->watch) { /* a file, which is always ready */
        while (!reader_read(reader))
            continue;
        return k_read(L, LUA_OK, (lua_KContext)reader);
    }
    watch_set(reader->watch, WATCH_READ);
    return bind_yield(L, reader, k_read);
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
        reader->hidden = true;
        reader->host->mode = &reader->saved;
        tcsetattr(STDIN_FILENO, TCSADRAIN, &quiet);
    }
    reader->watch = watch_new(bind_loop(L), STDIN_FILENO, on_readable, reader);
    watch_set(reader->watch, WATCH_READ);
    return bind_yield(L, reader, k_line);
}

/* --- a terminal that is not ours for a while -------------------------------------------------- */

/* As it was: its mode, and who is in its foreground. */
struct lease {
    struct host *host; /* NULL: it has been given back */
    struct trap *trap; /* SIGWINCH */
    struct wait *waiter;
    bool resized;      /* and nobody was told */
    struct termios mode;
    pid_t group;       /* ours; 0: it was another that was in the foreground */
    struct sigaction on_quit;
};

struct resize {
    struct wait wait;
    struct lease *lease;
};

/* A program that was killed may have left us in the background, where this would stop us. */
static void restore(const struct lease *lease)
{
    sigset_t stop, before;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTTOU);
    pthread_sigmask(SIG_BLOCK, &stop, &before);
    if (lease->group > 0)
        tcsetpgrp(STDIN_FILENO, lease->group);
    tcsetattr(STDIN_FILENO, TCSANOW, &lease->mode);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void lease_end(struct lease *lease)
{
    if (!lease->host)
        return;
    restore(lease);
    sigaction(SIGQUIT, &lease->on_quit, NULL);
    lease->host->lent = false;
    lease->host->mode = NULL;
    lease->host = NULL;
    trap_free(lease->trap);
    if (lease->waiter)
        task_wake(lease->waiter);
    lease->waiter = NULL;
}

static int l_close(lua_State *L)
{
    lease_end(luaL_checkudata(L, 1, LEASE));
    return 0;
}

static void on_resize(void *arg, int number)
{
    struct lease *lease = arg;
    (void)number;
    lease->resized = true;
    if (lease->waiter)
        task_wake(lease->waiter);
    lease->waiter = NULL;
}

static struct lease *lease_begin(lua_State *L)
{
    struct err err;
    struct lease *lease = lua_newuserdatauv(L, sizeof *lease, 0);
    *lease = (struct lease){0};
    luaL_setmetatable(L, LEASE);
    if (tcgetattr(STDIN_FILENO, &lease->mode) != 0) {
        err_set(&err, ERR_MISSING, "the standard input is no terminal");
        bind_fail(L, &err);
        return NULL;
    }
    lease->host = bind_host(L);
    lease->host->mode = &lease->mode;
    const pid_t foreground = tcgetpgrp(STDIN_FILENO);
    lease->group = foreground == getpgrp() ? foreground : 0;
    sigaction(SIGQUIT, NULL, &lease->on_quit);
    lease->trap = trap_new(bind_loop(L), SIGWINCH, on_resize, lease);
    return lease;
}

/* term.lend() -> lease | nil, err */
static int l_lend(lua_State *L)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct lease *lease = lease_begin(L);
    if (!lease)
        return 2;
    sigaction(SIGQUIT, &ignore, NULL);
    lease->host->lent = true;
    return 1;
}

/* term.raw() -> lease | nil, err */
static int l_raw(lua_State *L)
{
    struct lease *lease = lease_begin(L);
    if (!lease)
        return 2;
    struct termios raw = lease->mode;
    cfmakeraw(&raw);
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    return 1;
}

static void resize_cancel(void *op)
{
    ((struct resize *)op)->lease->waiter = NULL;
    task_wake(op);
}

static int k_resized(lua_State *L, int status, lua_KContext context)
{
    struct lease *lease = luaL_checkudata(L, 1, LEASE);
    (void)status, (void)context;
    lease->resized = false;
    return 0;
}

/* lease:resized(), when the window has another size than when it was last asked */
static int l_resized(lua_State *L)
{
    struct lease *lease = luaL_checkudata(L, 1, LEASE);
    if (!lease->host)
        return luaL_error(L, "the terminal has been given back");
    if (lease->waiter)
        return luaL_error(L, "another task waits for this already");
    if (lease->resized)
        return k_resized(L, LUA_OK, 0);
    struct resize *resize = bind_wait(L, sizeof *resize, RESIZE, resize_cancel);
    resize->lease = lease;
    lease->waiter = &resize->wait;
    return bind_yield(L, resize, k_resized);
}

static const luaL_Reg lease_methods[] = {{"close", l_close}, {"resized", l_resized}, {NULL, NULL}};

/* --- what is shown ---------------------------------------------------------------------------- */

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
    {"read", l_read}, {"lend", l_lend},       {"raw", l_raw},             {NULL, NULL},
};

int luaopen_orch_term(lua_State *L);
int luaopen_orch_term(lua_State *L)
{
    bind_type(L, READER, NULL, reader_gc);
    bind_type(L, LEASE, lease_methods, l_close);
    bind_closable(L, LEASE, l_close);
    bind_type(L, RESIZE, NULL, NULL);
    bind_module(L, functions);
    return 1;
}
