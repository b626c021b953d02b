#include "prim/http_pool.h"

#include "base/mem.h"

enum {
    IDLE_MAX = 16,         /* connections kept alive for a next request */
    /* open at once; further requests queue. The usual limit is 1,024 files */
    CONNECTIONS_MAX = 512,
};

struct http_pool {
    struct loop *loop;
    CURLM *multi;
    struct timer *timer;
};

struct line {
    struct http_pool *pool;
    curl_socket_t fd;
    struct watch *watch;
};

static void harvest(struct http_pool *pool)
{
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(pool->multi, &left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        struct http_leg *leg = NULL;
        const CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &leg);
        leg->ended(leg->arg, code);
    }
}

static void act(struct http_pool *pool, curl_socket_t fd, int bits)
{
    int running;
    curl_multi_socket_action(pool->multi, fd, bits, &running);
    harvest(pool);
}

static void on_ready(void *arg, int events)
{
    struct line *line = arg; /* may be freed inside act */
    act(line->pool, line->fd, (events & WATCH_READ ? CURL_CSELECT_IN : 0) |
                                  (events & WATCH_WRITE ? CURL_CSELECT_OUT : 0));
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *of_socket)
{
    (void)easy;
    struct http_pool *pool = arg;
    struct line *line = of_socket;
    if (what == CURL_POLL_REMOVE) {
        if (line)
            watch_free(line->watch);
        mem_free(line);
        curl_multi_assign(pool->multi, fd, NULL);
        return 0;
    }
    if (!line) {
        line = mem_alloc(sizeof *line);
        *line = (struct line){.pool = pool, .fd = fd};
        line->watch = watch_new(pool->loop, fd, on_ready, line);
        if (!line->watch) {
            mem_free(line);
            return -1;
        }
        curl_multi_assign(pool->multi, fd, line);
    }
    watch_set(line->watch, (what & CURL_POLL_IN ? WATCH_READ : 0) |
                               (what & CURL_POLL_OUT ? WATCH_WRITE : 0));
    return 0;
}

static void on_time(void *arg)
{
    struct http_pool *pool = arg;
    pool->timer = NULL;
    act(pool, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timer(CURLM *multi, long ms, void *arg)
{
    (void)multi;
    struct http_pool *pool = arg;
    timer_cancel(pool->timer);
    pool->timer = ms < 0 ? NULL : timer_start(pool->loop, (uint64_t)ms, on_time, pool);
    return 0;
}

struct loop *http_pool_loop(const struct http_pool *pool)
{
    return pool->loop;
}

void http_pool_add(struct http_pool *pool, CURL *easy, struct http_leg *leg)
{
    curl_easy_setopt(easy, CURLOPT_PRIVATE, leg);
    curl_multi_add_handle(pool->multi, easy);
}

void http_pool_drop(struct http_pool *pool, CURL *easy)
{
    curl_multi_remove_handle(pool->multi, easy);
}

struct http_pool *http_pool_new(struct loop *loop, struct err *err)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
        err_set(err, ERR_FAILED, "libcurl cannot be initialized");
        return NULL;
    }
    struct http_pool *pool = mem_alloc(sizeof *pool);
    pool->loop = loop;
    pool->multi = curl_multi_init();
    if (!pool->multi) {
        mem_free(pool);
        curl_global_cleanup();
        err_set(err, ERR_FAILED, "libcurl has no memory");
        return NULL;
    }
    curl_multi_setopt(pool->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(pool->multi, CURLMOPT_SOCKETDATA, pool);
    curl_multi_setopt(pool->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(pool->multi, CURLMOPT_TIMERDATA, pool);
    curl_multi_setopt(pool->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    curl_multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS, (long)IDLE_MAX);
    curl_multi_setopt(pool->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)CONNECTIONS_MAX);
    return pool;
}

void http_pool_free(struct http_pool *pool)
{
    if (!pool)
        return;
    curl_multi_cleanup(pool->multi);
    timer_cancel(pool->timer);
    mem_free(pool);
    curl_global_cleanup();
}
