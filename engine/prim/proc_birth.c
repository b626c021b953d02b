#include "prim/proc_birth.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

enum { REALTIME_SIGNALS = 32 }; /* from here on nobody in this process handles or ignores any */

static void give(struct birth *birth, int from, int to)
{
    if (from >= 0 && dup2(from, to) < 0)
        birth->error = errno;
}

static void be_born(struct birth *birth)
{
    struct sigaction usual = {.sa_handler = SIG_DFL};
    sigset_t none;
    sigemptyset(&none);
    for (int number = 1; number < REALTIME_SIGNALS; number++)
        if (number != SIGKILL && number != SIGSTOP)
            sigaction(number, &usual, NULL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (!birth->foreground)
        setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, birth->foreground ? SIGHUP : SIGKILL);
    give(birth, birth->in, 0);
    give(birth, birth->out, 1);
    give(birth, birth->err, 2);
    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC); /* libraries open descriptors of their own */
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && birth->file_limit > 0) {
        limit.rlim_cur = birth->file_limit;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (birth->error == 0 && birth->cwd && chdir(birth->cwd) != 0) {
        birth->in_cwd = true;
        birth->error = errno;
    }
    if (birth->error == 0) {
        execve(birth->path, birth->argv, birth->env);
        birth->error = errno;
    }
    _exit(127);
}

pid_t birth_give(struct birth *birth)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* no handler of ours may run in the child */
    pid_t pid = vfork();
    if (pid == 0)
        be_born(birth);
    int number = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = number;
    return pid;
}

static const char *env_value(const char *const *env, const char *name)
{
    size_t len = strlen(name);
    for (; *env; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
            return *env + len + 1;
    return NULL;
}

char *birth_find_program(const char *name, const char *const *env, int base, struct err *err)
{
    if (strchr(name, '/'))
        return mem_text(name);
    const char *path = env_value(env, "PATH");
    if (!path)
        path = "/usr/local/bin:/usr/bin:/bin";
    struct buf full;
    buf_init(&full, 1 << 16);
    for (const char *p = path;; p++) {
        size_t len = strcspn(p, ":");
        struct stat st;
        buf_clear(&full);
        buf_format(&full, "%.*s/%s", len ? (int)len : 1, len ? p : ".", name);
        if (full.data && faccessat(base, full.data, X_OK, 0) == 0 &&
            fstatat(base, full.data, &st, 0) == 0 && S_ISREG(st.st_mode))
            return buf_take(&full);
        p += len;
        if (*p == '\0')
            break;
    }
    buf_fini(&full);
    err_set(err, ERR_MISSING, "no program '%s' in PATH (%s)", name, path);
    return NULL;
}

bool birth_program_error(const char *path, bool found, int number, struct err *err)
{
    if (number == ENOENT && found)
        return err_set(err, ERR_MISSING,
                       "cannot run %s: the interpreter that its first line names is not there",
                       path);
    return err_system(err, number, "cannot run %s", path);
}

static bool tell_error(const struct birth *birth, struct err *err)
{
    if (birth->in_cwd)
        return err_system(err, birth->error, "cannot run %s in directory %s", birth->argv[0],
                          birth->cwd);
    return birth_program_error(birth->path, access(birth->path, F_OK) == 0, birth->error, err);
}

bool birth_watched(struct birth *birth, pid_t *pid, int *pidfd, struct err *err)
{
    *pid = birth_give(birth);
    if (*pid < 0)
        return err_system(err, errno, "cannot start %s", birth->argv[0]);
    if (birth->error != 0) {
        waitpid(*pid, NULL, 0);
        return tell_error(birth, err);
    }
    *pidfd = pidfd_open(*pid, 0);
    if (*pidfd >= 0)
        return true;
    err_system(err, errno, "cannot watch %s", birth->argv[0]);
    kill(*pid, SIGKILL);
    waitpid(*pid, NULL, 0);
    return false;
}
