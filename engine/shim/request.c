#include "shim/request.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "shim/wire.h"

enum { TEXTS_MAX = 1 << 20 };

/* A count, and so many texts. */
static char **take_texts(struct wire_frame *frame)
{
    long count = wire_number(frame);
    if (count < 0 || count > TEXTS_MAX || frame->at + (size_t)count > frame->len)
        count = 0;
    char **texts = mem_alloc(((size_t)count + 1) * sizeof *texts);
    for (long i = 0; i < count; i++)
        texts[i] = mem_text(wire_text(frame));
    return texts;
}

static void take_identity(struct request *request, struct wire_frame *frame)
{
    request->uid = (uid_t)wire_number(frame);
    request->gid = (gid_t)wire_number(frame);
    long count = wire_number(frame);
    if (count < 0 || count > NGROUPS_MAX)
        count = 0;
    request->groups = mem_alloc(((size_t)count + 1) * sizeof *request->groups);
    request->group_count = (size_t)count;
    for (long i = 0; i < count; i++)
        request->groups[i] = (gid_t)wire_number(frame);
}

/* The input in memory: a program that reads none of it holds nobody up. */
static bool take_input(struct request *request, struct wire_frame *frame, struct err *err)
{
    request->input = -1;
    while (wire_take(frame) && frame->type == 'i') {
        if (request->input < 0)
            request->input = memfd_create("input", MFD_CLOEXEC);
        if (request->input < 0 || !fd_write(request->input, frame->data, frame->len))
            return err_system(err, errno, "cannot keep the program's input");
    }
    if (frame->type != 'g')
        return err_set(err, ERR_CANCELLED, "nobody asks any more");
    if (request->input >= 0)
        lseek(request->input, 0, SEEK_SET);
    else
        request->input = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return true;
}

/* Its texts; the directory, for the caller to free. */
static char *take_spec(struct request *request, struct wire_frame *frame)
{
    request->ended = mem_text(wire_text(frame));
    request->silence_ms = wire_number(frame);
    request->grace_ms = wire_number(frame);
    request->timeout_ms = wire_number(frame);
    request->quiet_ms = wire_number(frame);
    request->split = wire_number(frame) != 0;
    take_identity(request, frame);
    char *cwd = mem_text(wire_text(frame));
    request->argv = take_texts(frame);
    request->env = take_texts(frame);
    return cwd;
}

static bool go_to(const struct request *request, const char *cwd, struct err *err)
{
    if (!request->argv[0] || !request->argv[0][0])
        return err_set(err, ERR_USAGE, "no program was named");
    if (chdir(cwd) == 0)
        return true;
    return err_system(err, errno, "cannot run %s in directory %s", request->argv[0], cwd);
}

bool request_take(struct request *request, struct wire_frame *frame, struct err *err)
{
    char *cwd = take_spec(request, frame);
    const bool good = take_input(request, frame, err) && go_to(request, cwd, err);
    mem_free(cwd);
    return good;
}

bool request_read(struct request *request, const char *path, struct err *err)
{
    struct buf text;
    buf_init(&text, WIRE_MAX);
    bool good = file_read(path, &text, err);
    unlink(path);
    if (good) {
        struct wire_frame frame = {.type = 'r', .data = text.data, .len = text.len};
        char *cwd = take_spec(request, &frame);
        good = go_to(request, cwd, err);
        mem_free(cwd);
    }
    request->input = -1;
    mem_wipe(text.data, text.len);
    return good;
}

/* Raw calls: those of the C library want to tell its threads. */
int request_become(const struct request *request)
{
    if ((getuid() == 0 &&
         syscall(SYS_setgroups, request->group_count, request->groups) != 0) ||
        syscall(SYS_setresgid, request->gid, request->gid, request->gid) != 0 ||
        syscall(SYS_setresuid, request->uid, request->uid, request->uid) != 0)
        return errno;
    return 0;
}

static void wipe_texts(char **texts)
{
    for (char **text = texts; text && *text; text++)
        mem_wipe(*text, strlen(*text));
    mem_free(texts);
}

void request_fini(struct request *request)
{
    mem_free(request->ended);
    mem_free(request->groups);
    wipe_texts(request->argv);
    wipe_texts(request->env);
    *request = (struct request){0};
}

static const char *path_of(char *const *env)
{
    for (; *env; env++)
        if (strncmp(*env, "PATH=", 5) == 0)
            return *env + 5;
    return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

char *request_program(const struct request *request, struct err *err)
{
    const char *name = request->argv[0], *path = path_of(request->env);
    if (strchr(name, '/'))
        return mem_text(name);
    struct buf full;
    buf_init(&full, 1 << 16);
    for (const char *p = path;; p++) {
        const size_t len = strcspn(p, ":");
        struct stat st;
        buf_clear(&full);
        buf_format(&full, "%.*s/%s", len ? (int)len : 1, len ? p : ".", name);
        if (full.data && access(full.data, X_OK) == 0 && stat(full.data, &st) == 0 &&
            S_ISREG(st.st_mode))
            return buf_take(&full);
        p += len;
        if (*p == '\0')
            break;
    }
    buf_fini(&full);
    err_set(err, ERR_MISSING, "no program '%s' in PATH (%s)", name, path);
    return NULL;
}
