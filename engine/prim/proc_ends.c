#include "prim/proc_ends.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* pipe[ours] does not block; the other is the program's, which may expect that it does. */
static bool make_pipe(int pipe[2], int ours, struct err *err)
{
    if (pipe2(pipe, O_CLOEXEC) != 0)
        return err_system(err, errno, "cannot make a pipe");
    fcntl(pipe[ours], F_SETFL, O_NONBLOCK);
    return true;
}

static bool open_input(struct ends *ends, const struct proc_spec *spec, struct err *err)
{
    int pipe[2];
    if (spec->input) {
        if (!make_pipe(pipe, 1, err))
            return false;
        ends->in = pipe[0];
        ends->our_in = pipe[1];
    } else if (!spec->keepers) { /* a keeper has one of its own */
        ends->in = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (ends->in < 0)
            return err_system(err, errno, "cannot open /dev/null");
    }
    return true;
}

bool ends_enter(struct ends *ends, const struct proc_spec *spec, struct err *err)
{
    const char *cwd = spec->cwd ? spec->cwd : ".";
    *ends = (struct ends){-1, -1, -1, -1, -1, -1, -1};
    ends->cwd = open(cwd, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return ends->cwd >= 0 || err_system(err, errno, "cannot run %s in directory %s",
                                        spec->argv[0], cwd);
}

bool ends_open(struct ends *ends, const struct proc_spec *spec, struct err *err)
{
    int pipe[2];
    if (!open_input(ends, spec, err) || !make_pipe(pipe, 0, err))
        return false;
    ends->our_out = pipe[0];
    ends->out = ends->err = pipe[1];
    if (!spec->split)
        return true;
    if (!make_pipe(pipe, 0, err))
        return false;
    ends->our_err = pipe[0];
    ends->err = pipe[1];
    return true;
}

static void close_one(int fd)
{
    if (fd >= 0)
        close(fd);
}

void ends_close(struct ends *ends)
{
    close_one(ends->cwd);
    close_one(ends->in);
    close_one(ends->out);
    if (ends->err != ends->out)
        close_one(ends->err);
}
