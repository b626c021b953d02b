#include "shim/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PROCESSES_MAX = 65536 };

long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static pid_t parent_of(const char *pid_text)
{
    char path[64], stat[512];
    snprintf(path, sizeof path, "/proc/%s/stat", pid_text);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t len = read(fd, stat, sizeof stat - 1);
    close(fd);
    stat[len > 0 ? len : 0] = '\0';
    const char *after_name = strrchr(stat, ')'); /* the name may hold anything */
    return after_name ? (pid_t)strtol(after_name + 4, NULL, 10) : -1;
}

static size_t list_processes(pid_t *pids, pid_t *parents)
{
    DIR *proc = opendir("/proc");
    size_t count = 0;
    for (struct dirent *entry; proc && count < PROCESSES_MAX && (entry = readdir(proc));) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
            continue;
        pids[count] = (pid_t)strtol(entry->d_name, NULL, 10);
        parents[count++] = parent_of(entry->d_name);
    }
    if (proc)
        closedir(proc);
    return count;
}

/* A parent may be listed after its child: go round until nothing is new. */
void tree_signal(int number)
{
    static pid_t pids[PROCESSES_MAX], parents[PROCESSES_MAX];
    static bool ours[PROCESSES_MAX];
    const pid_t self = getpid();
    size_t count = list_processes(pids, parents);
    memset(ours, 0, count);
    for (bool grown = true; grown;) {
        grown = false;
        for (size_t i = 0; i < count; i++) {
            bool below = parents[i] == self;
            for (size_t k = 0; k < count && !below && !ours[i]; k++)
                below = ours[k] && pids[k] == parents[i];
            if (ours[i] || !below)
                continue;
            ours[i] = grown = true;
            kill(pids[i], number);
            if (number != SIGKILL)
                kill(pids[i], SIGCONT); /* a stopped process acts only when it goes on */
        }
    }
}
