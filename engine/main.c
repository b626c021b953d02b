#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "base/mem.h"
#include "base/path.h"
#include "base/pool.h"
#include "bind/host.h"

struct program {
    struct host host;
    struct task *root;
    bool stopping; /* a signal was heard */
};

/* A Ctrl-C while it stops means now: each child dies with us. A terminal gets its screen back,
   unless it is not ready to take anything. */
static _Noreturn void stop_now(const struct host *host)
{
    struct pollfd ready = {.fd = host->parting_fd, .events = POLLOUT};
    if (host->parting && poll(&ready, 1, 0) == 1 && ready.revents == POLLOUT)
        (void)!write(host->parting_fd, host->parting, host->parting_len);
    if (host->mode)
        tcsetattr(STDIN_FILENO, TCSANOW, host->mode);
    _exit(128 + SIGINT);
}

enum { STOP_SIGNALS = 3, INTERRUPTS_MAX = 3 };

static const int stop_signals[STOP_SIGNALS] = {SIGINT, SIGTERM, SIGHUP};

/* What a signal handler, which gets no argument, must find. */
static struct {
    struct host *host;
    pthread_t main_thread;
    void (*loops_own[STOP_SIGNALS])(int number);
    volatile sig_atomic_t interrupts;
} handling;

/* Before the loop's own handler, since Lua that never waits never comes to the loop. */
static void on_signal(int number)
{
    if (!pthread_equal(pthread_self(), handling.main_thread)) {
        pthread_kill(handling.main_thread, number);
        return;
    }
    if (number == SIGINT && handling.host->lent)
        return;
    int error = errno;
    if (number == SIGINT && ++handling.interrupts >= INTERRUPTS_MAX)
        _exit(128 + SIGINT); /* even the second was not heard */
    for (int i = 0; i < STOP_SIGNALS; i++)
        if (stop_signals[i] == number)
            handling.loops_own[i](number);
    task_break_in(handling.host);
    errno = error;
}

static void handle_before_the_loop(struct host *host)
{
    handling.host = host;
    handling.main_thread = pthread_self();
    for (int i = 0; i < STOP_SIGNALS; i++) {
        struct sigaction action;
        sigaction(stop_signals[i], NULL, &action);
        handling.loops_own[i] = action.sa_handler;
        action.sa_handler = on_signal;
        sigaction(stop_signals[i], &action, NULL);
    }
}

static void on_stop_signal(void *arg, int number)
{
    struct program *program = arg;
    if (number == SIGINT && program->stopping)
        stop_now(&program->host);
    program->stopping = true;
    struct err err;
    err_set(&err, ERR_CANCELLED, "cancelled by %s", number == SIGINT    ? "Ctrl-C"
                                                    : number == SIGTERM ? "SIGTERM"
                                                                        : "SIGHUP");
    err.code = number;
    task_cancel_with(&program->host, program->root, &err);
}

/* The directory with the modules loaded on first use: beside the binary in a build tree, else
   ../lib/orch from it. */
static char *find_lib_dir(char *program, size_t size)
{
    ssize_t len = readlink("/proc/self/exe", program, size - 1);
    program[len > 0 ? len : 0] = '\0';
    char *dir = path_dir(program);
    char *lib = path_join(dir, "lib");
    if (access(lib, X_OK) != 0) {
        mem_free(lib);
        lib = path_join(dir, "../lib/orch");
    }
    mem_free(dir);
    return lib;
}

static int l_main(lua_State *L)
{
    struct program *program = lua_touserdata(L, 1);
    lua_settop(L, 0);
    luaL_openlibs(L);
    bind_open_all(L, &program->host);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "orch.cli");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "main");
    lua_createtable(L, program->host.argc, 0);
    for (int i = 0; i < program->host.argc; i++) {
        lua_pushstring(L, program->host.argv[i]);
        lua_rawseti(L, -2, i);
    }
    program->root = task_root(&program->host, L, 1);
    lua_pop(L, 1); /* the task keeps itself alive until it is dead */
    return 0;
}

static int report(lua_State *L)
{
    fprintf(stderr, "orch: %s\n", luaL_tolstring(L, -1, NULL));
    lua_getfield(L, -2, "traceback");
    if (lua_isstring(L, -1))
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
    return 1;
}

/* Nothing is collected until the first wait: what is loaded at start all stays. Under ORCH_GC the
   collector never rests instead: what C holds and Lua does not is soon freed under it, and a
   sanitizer sees the use. */
static void hold_collector(lua_State *L)
{
#ifdef ORCH_GC
    lua_gc(L, LUA_GCINC, 1, 100, 8); /* no pause, and a step after every 256 bytes */
#else
    lua_gc(L, LUA_GCSTOP);
#endif
}

/* It begins when there is twice as much, as after a cycle of its own. */
static void release_collector(lua_State *L)
{
#ifdef ORCH_GC
    (void)L;
#else
    lua_gc(L, LUA_GCRESTART);
    lua_gc(L, LUA_GCSTEP, -lua_gc(L, LUA_GCCOUNT)); /* in KiB: a step is due so much later */
#endif
}

static void *resize(void *pool, void *old, size_t old_size, size_t size)
{
    return pool_resize(pool, old, old_size, size);
}

static int on_panic(lua_State *L)
{
    fprintf(stderr, "orch: %s\n",
        lua_isstring(L, -1) ? lua_tostring(L, -1) : "an error of no kind");
    return 0; /* Lua aborts */
}

static lua_State *new_state(struct pool *pool)
{
    lua_State *L = lua_newstate(resize, pool);
    if (L)
        lua_atpanic(L, on_panic);
    return L;
}

static int run(struct program *program, lua_State *L)
{
    hold_collector(L);
    lua_pushcfunction(L, bind_on_error);
    lua_pushcfunction(L, l_main);
    lua_pushlightuserdata(L, program);
    if (lua_pcall(L, 1, 0, -3) != LUA_OK)
        return report(L);
    struct host *host = &program->host;
    struct trap *traps[STOP_SIGNALS];
    for (int i = 0; i < STOP_SIGNALS; i++)
        traps[i] = trap_new(host->loop, stop_signals[i], on_stop_signal, program);
    handle_before_the_loop(host);
    /* the root task anchors itself only while it lives: keep it for its results */
    task_keep(L, program->root);
    task_run_ready(host);
    release_collector(L);
    while (!task_ended(program->root)) {
        loop_turn(host->loop, !host->ready_first);
        task_run_ready(host);
    }
    for (int i = 0; i < STOP_SIGNALS; i++)
        trap_free(traps[i]);
    int count = task_results(program->root, L);
    if (!lua_toboolean(L, -count))
        return report(L);
    return count > 1 ? (int)lua_tointeger(L, 1 - count) : 0;
}

/* A closed one would be given to the loop's own descriptors, and what is printed written into them.
   In its place is what can only be read: that nobody gets what is printed stays an error. */
static void open_standard_streams(void)
{
    int fd = open("/dev/null", O_RDONLY);
    while (fd >= 0 && fd <= STDERR_FILENO)
        fd = dup(fd);
    if (fd >= 0)
        close(fd);
}

int main(int argc, char **argv)
{
    open_standard_streams();
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
    char path[PATH_MAX];
    struct err err;
    struct program program = {.host = {.argc = argc, .argv = argv}};
    char *lib_dir = find_lib_dir(path, sizeof path);
    program.host.program = path;
    program.host.lib_dir = lib_dir;
    char *shim = path_join(lib_dir, "orch-shim");
    program.host.shim = shim;
    program.host.lua_tree = getenv("ORCH_LUA");
    program.host.loop = loop_new(&err);
    struct pool *pool = pool_new();
    lua_State *L = program.host.L = new_state(pool);
    program.host.self = &program.host;
    if (L) /* every coroutine's copy comes from here */
        *(struct host ***)lua_getextraspace(L) = &program.host.self;
    if (!program.host.loop || !L) {
        fprintf(stderr, "orch: %s\n", L ? err.message : "out of memory");
        return 9;
    }
    int code = run(&program, L);
    lua_close(L);
    pool_free(pool);
    loop_free(program.host.loop);
    mem_free(program.host.parting);
    mem_free(shim);
    mem_free(lib_dir);
    return code;
}
