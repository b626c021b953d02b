#include "prim/http_body.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

static void on_readable(void *arg, int events)
{
    (void)events;
    struct http_body *body = arg;
    watch_set(body->watch, 0);
    body->waiting = false;
    body->ready(body->arg);
}

/* Files are read as they are: no loop can tell when a disk is ready. */
static bool open_fd(struct http_body *body, struct err *err)
{
    struct stat stat;
    if (fstat(body->fd, &stat) != 0)
        return err_system(err, errno, "option 'body_fd' (%d) is no open descriptor", body->fd);
    if (S_ISREG(stat.st_mode) || S_ISDIR(stat.st_mode))
        return true;
    fcntl(body->fd, F_SETFL, fcntl(body->fd, F_GETFL) | O_NONBLOCK);
    body->watch = watch_new(body->loop, body->fd, on_readable, body);
    return true;
}

bool http_body_init(struct http_body *body, struct loop *loop, const struct http_spec *spec,
                    struct err *err)
{
    body->loop = loop;
    body->fd = spec->body_fd;
    if (body->fd >= 0) {
        body->length = spec->body_length;
        return open_fd(body, err);
    }
    body->text_len = spec->body_len;
    body->length = (int64_t)spec->body_len;
    body->text = mem_copy(spec->body ? spec->body : "", spec->body_len ? spec->body_len : 1);
    return true;
}

void http_body_drop(struct http_body *body)
{
    watch_free(body->watch);
    body->watch = NULL;
    if (body->fd >= 0)
        close(body->fd);
    body->fd = -1;
    body->waiting = false;
}

void http_body_fini(struct http_body *body)
{
    http_body_drop(body);
    mem_wipe(body->text, body->text_len);
    body->text = NULL;
}

static size_t read_text(struct http_body *body, char *to, size_t max)
{
    const size_t left = body->text_len - (size_t)body->sent, len = left < max ? left : max;
    memcpy(to, body->text + body->sent, len);
    body->sent += (int64_t)len;
    return len;
}

size_t http_body_read(struct http_body *body, char *to, size_t max, struct err *err)
{
    if (body->text)
        return read_text(body, to, max);
    if (body->fd < 0)
        return 0;
    if (body->length >= 0 && (int64_t)max > body->length - body->sent)
        max = (size_t)(body->length - body->sent);
    ssize_t n;
    do
        n = max > 0 ? read(body->fd, to, max) : 0;
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        body->sent += n;
        return (size_t)n;
    }
    if (n < 0 && errno == EAGAIN && body->watch) {
        body->waiting = true;
        watch_set(body->watch, WATCH_READ);
        return CURL_READFUNC_PAUSE;
    }
    if (n < 0) {
        err_system(err, errno, "cannot read the request's body");
        err->kind = ERR_IO;
    } else if (body->length > body->sent) {
        err_set(err, ERR_IO, "the request's body ended after %lld of %lld bytes",
                (long long)body->sent, (long long)body->length);
        n = -1;
    }
    http_body_drop(body);
    return n < 0 ? CURL_READFUNC_ABORT : 0;
}

bool http_body_rewind(struct http_body *body)
{
    if (!body->text)
        return body->sent == 0;
    body->sent = 0;
    return true;
}
