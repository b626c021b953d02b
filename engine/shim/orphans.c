#include "shim/orphans.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shim/tree.h"
#include "shim/wire.h"

enum { PATIENCE_MS = 30000, POLL_MS = 50 };

/* The words of its command line, each ended by a NUL; how many bytes. */
static size_t words_of(pid_t pid, char *words, size_t max)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t len = read(fd, words, max - 1);
    close(fd);
    words[len > 0 ? len : 0] = '\0';
    return len > 0 ? (size_t)len : 0;
}

/* Our own program, which may be of another version, in another life than the main process's. */
static bool is_orphan(pid_t pid)
{
    char own[256], words[256];
    words_of(getpid(), own, sizeof own);
    const size_t len = words_of(pid, words, sizeof words);
    const char *life = words + strlen(words) + 1;
    return len > 0 && strcmp(own, words) == 0 && life < words + len && strcmp(life, "hold") != 0;
}

static int ask_all(void)
{
    int count = 0;
    DIR *proc = opendir("/proc");
    for (struct dirent *entry; proc && (entry = readdir(proc));) {
        const pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (pid <= 0 || pid == getpid() || !is_orphan(pid))
            continue;
        kill(pid, SIGTERM);
        count++;
    }
    if (proc)
        closedir(proc);
    return count;
}

int orphans_main(void)
{
    struct err err;
    const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
    const long deadline = now_ms() + PATIENCE_MS;
    while (ask_all() > 0) {
        if (now_ms() > deadline) {
            err_set(&err, ERR_TIMEOUT, "what an earlier session has started there would not end");
            return wire_error(&err) ? 0 : 1;
        }
        nanosleep(&pause, NULL);
    }
    return wire_send('k', "", 0) ? 0 : 1;
}
