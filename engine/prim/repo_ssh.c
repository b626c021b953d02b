#include "prim/repo_ssh.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <git2.h>
#include <git2/sys/transport.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "prim/repo_refs.h"
#include "prim/repo_url.h"

enum { WORDS_MAX = 1024, SAID_MAX = 64 << 10, COMMAND_MAX = 64 << 10 };

struct stream {
    git_smart_subtransport_stream base;
    struct transport *owner;
    pid_t pid;
    size_t refs; /* bytes of them so far; what comes after a request is not of them */
    bool asked;
    int in, out, err; /* its standard input and output; a file that holds its standard error */
};

struct transport {
    git_smart_subtransport base;
    struct err *err; /* the caller's */
    struct stream *stream; /* one connection serves both services */
};

/* The kind of failure that ssh's words mean. */
static enum err_kind kind_of(const char *said)
{
    static const struct {
        const char *part;
        enum err_kind kind;
    } known[] = {
        {"Permission denied", ERR_AUTH},       {"Host key verification", ERR_AUTH},
        {"No such identity", ERR_AUTH},        {"Could not resolve", ERR_NET},
        {"Connection refused", ERR_NET},       {"timed out", ERR_NET},
        {"Connection closed", ERR_NET},        {"No route to host", ERR_NET},
        {"unreachable", ERR_NET},              {"not appear to be a git", ERR_MISSING},
        {"not found", ERR_MISSING},            {"No such file", ERR_MISSING},
        {"access denied", ERR_AUTH},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcasestr(said, known[i].part))
            return known[i].kind;
    return ERR_REMOTE;
}

/* --- the program -------------------------------------------------------------------------- */

/* 'text' for the shell on the other side. */
static void quote(struct buf *out, const char *text)
{
    buf_char(out, '\'');
    for (const char *p = text; *p; p++) {
        if (*p == '\'' || *p == '!')
            buf_format(out, "'\\%c'", *p);
        else
            buf_char(out, *p);
    }
    buf_char(out, '\'');
}

static int spawn_ssh(struct stream *stream, const char *const *argv, int in, int out)
{
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, stream->err, STDERR_FILENO);
    int rc = posix_spawnp(&stream->pid, argv[0], &actions, NULL, (char *const *)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

/* A file in memory that does not grow: what is beyond is lost to the other side. -1 and errno. */
static int words_file(void)
{
    const int fd = memfd_create("ssh-stderr", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || (ftruncate(fd, SAID_MAX) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) == 0))
        return fd;
    const int number = errno;
    close(fd);
    errno = number;
    return -1;
}

static int start(struct stream *stream, const struct url *url)
{
    struct buf command, host, own;
    buf_init(&command, COMMAND_MAX);
    buf_init(&host, COMMAND_MAX);
    buf_init(&own, COMMAND_MAX);
    buf_text(&command, "git-upload-pack ");
    quote(&command, url->path);
    buf_format(&host, "%s%s%s", url->user ? url->user : "", url->user ? "@" : "", url->host);
    const char *line = getenv("GIT_SSH_COMMAND"), *program = getenv("GIT_SSH");
    const char *argv[12];
    int n = 0;
    if (line && line[0]) { /* as git does it: words and quotes are the shell's business */
        buf_format(&own, "%s \"$@\"", line);
        argv[n++] = "sh";
        argv[n++] = "-c";
        argv[n++] = own.data;
        argv[n++] = "ssh";
    } else {
        argv[n++] = program && program[0] ? program : "ssh";
        argv[n++] = "-oBatchMode=yes"; /* nobody is there to be asked */
    }
    if (url->port) {
        argv[n++] = "-p";
        argv[n++] = url->port;
    }
    argv[n++] = host.data;
    argv[n++] = command.data;
    argv[n] = NULL;
    int to[2] = {-1, -1}, from[2] = {-1, -1}, rc = errno;
    stream->err = words_file();
    if (stream->err < 0 || pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0)
        rc = errno;
    else
        rc = spawn_ssh(stream, argv, to[0], from[1]);
    stream->in = to[1];
    stream->out = from[0];
    close(to[0]);
    close(from[1]);
    buf_fini(&command);
    buf_fini(&host);
    buf_fini(&own);
    if (rc != 0) {
        err_system(stream->owner->err, rc, "cannot run %s", line && line[0] ? line : argv[0]);
        git_error_set_str(GIT_ERROR_SSH, "cannot run ssh");
        return -1;
    }
    return 0;
}

/* --- libgit2's streams -------------------------------------------------------------------- */

/* The last lines of what it wrote to standard error, in one line. */
static void keep_words(struct stream *stream)
{
    char text[WORDS_MAX], words[WORDS_MAX];
    off_t size = lseek(stream->err, 0, SEEK_CUR); /* it is ssh's place too */
    off_t from = size > WORDS_MAX - 1 ? size - (WORDS_MAX - 1) : 0;
    ssize_t n = pread(stream->err, text, WORDS_MAX - 1, from);
    size_t len = 0;
    for (ssize_t i = 0; i < n; i++) {
        char c = text[i] == '\n' ? ' ' : text[i];
        if (c != '\r' && !(c == ' ' && (len == 0 || words[len - 1] == ' ')))
            words[len++] = c;
    }
    while (len > 0 && words[len - 1] == ' ')
        len--;
    words[len] = '\0';
    if (len > 0)
        err_set(stream->owner->err, kind_of(words), "ssh said: %s", words);
}

static int stream_read(git_smart_subtransport_stream *base, char *data, size_t size, size_t *got)
{
    struct stream *stream = (struct stream *)base;
    ssize_t n;
    do
        n = read(stream->out, data, size);
    while (n < 0 && errno == EINTR);
    *got = n > 0 ? (size_t)n : 0;
    if (n > 0 && !stream->asked && (stream->refs += *got) > REFS_BYTES_MAX) {
        err_set(stream->owner->err, ERR_LIMIT, "it sent more than %d bytes of refs",
                REFS_BYTES_MAX);
        return -1;
    }
    if (n > 0)
        return 0;
    if (n == 0) { /* it is over, in the middle of a talk or at its end: what did it say? */
        close(stream->in);
        stream->in = -1;
        waitpid(stream->pid, NULL, 0);
        stream->pid = 0;
        keep_words(stream);
    }
    return n == 0 ? 0 : -1;
}

static int stream_write(git_smart_subtransport_stream *base, const char *data, size_t len)
{
    struct stream *stream = (struct stream *)base;
    stream->asked = true;
    if (fd_write(stream->in, data, len))
        return 0;
    git_error_set_str(GIT_ERROR_SSH, "ssh ended early");
    return -1;
}

static void stream_free(git_smart_subtransport_stream *base)
{
    struct stream *stream = (struct stream *)base;
    close(stream->in);
    close(stream->out);
    if (stream->pid > 0)
        waitpid(stream->pid, NULL, 0);
    close(stream->err);
    stream->owner->stream = NULL;
    mem_free(stream);
}

static int transport_action(git_smart_subtransport_stream **out, git_smart_subtransport *base,
                            const char *text, git_smart_service_t service)
{
    struct transport *transport = (struct transport *)base;
    if (service == GIT_SERVICE_UPLOADPACK) {
        *out = transport->stream ? &transport->stream->base : NULL;
        return *out ? 0 : -1;
    }
    struct url url;
    struct err err;
    if (service != GIT_SERVICE_UPLOADPACK_LS || !url_parse(&url, text, &err)) {
        git_error_set_str(GIT_ERROR_SSH, "not an ssh URL to fetch from");
        return -1;
    }
    struct stream *stream = mem_alloc(sizeof *stream);
    *stream = (struct stream){.base = {base, stream_read, stream_write, stream_free},
                              .owner = transport, .in = -1, .out = -1, .err = -1};
    int rc = start(stream, &url);
    url_fini(&url);
    if (rc != 0) {
        stream_free(&stream->base);
        return rc;
    }
    transport->stream = stream;
    *out = &stream->base;
    return 0;
}

static int transport_close(git_smart_subtransport *base)
{
    (void)base;
    return 0;
}

static void transport_free(git_smart_subtransport *base)
{
    mem_free(base);
}

static int transport_new(git_smart_subtransport **out, git_transport *owner, void *param)
{
    (void)owner;
    struct transport *transport = mem_alloc(sizeof *transport);
    transport->err = param;
    transport->base = (git_smart_subtransport){transport_action, transport_close, transport_free};
    *out = &transport->base;
    return 0;
}

static int smart_new(git_transport **out, git_remote *owner, void *param)
{
    git_smart_subtransport_definition definition = {transport_new, 0, param};
    return git_transport_smart(out, owner, &definition);
}

void ssh_register(struct err *err)
{
    git_transport_register("ssh", smart_new, err);
}

void ssh_unregister(void)
{
    git_transport_unregister("ssh");
}
