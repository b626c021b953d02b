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

struct family {
    pid_t pids[PROCESSES_MAX];
    size_t count;
};

long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void add(struct family *family, pid_t pid)
{
    if (pid > 0 && family->count < PROCESSES_MAX)
        family->pids[family->count++] = pid;
}

static bool is_number(const char *name)
{
    return name[0] >= '1' && name[0] <= '9';
}

static pid_t parent_of(pid_t pid)
{
    char path[64], stat[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t len = read(fd, stat, sizeof stat - 1);
    close(fd);
    stat[len > 0 ? len : 0] = '\0';
    const char *after_name = strrchr(stat, ')'); /* the name may hold anything */
    return after_name ? (pid_t)strtol(after_name + 4, NULL, 10) : -1;
}

/* Where the kernel keeps no lists of children. */
static void look_for_children(struct family *family, pid_t parent)
{
    DIR *proc = opendir("/proc");
    for (struct dirent *entry; proc && (entry = readdir(proc));) {
        const pid_t pid = is_number(entry->d_name) ? (pid_t)strtol(entry->d_name, NULL, 10) : 0;
        if (pid > 0 && parent_of(pid) == parent)
            add(family, pid);
    }
    if (proc)
        closedir(proc);
}

/* The kernel's list of a thread's children; false when it keeps none. */
static bool read_children(struct family *family, const char *path)
{
    char text[4096];
    pid_t pid = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    for (ssize_t len; (len = read(fd, text, sizeof text)) > 0;)
        for (ssize_t i = 0; i < len; i++) {
            const bool digit = text[i] >= '0' && text[i] <= '9';
            if (!digit)
                add(family, pid);
            pid = digit ? pid * 10 + (text[i] - '0') : 0;
        }
    add(family, pid);
    close(fd);
    return true;
}

static void add_children(struct family *family, pid_t parent)
{
    char path[320];
    bool listed = false;
    snprintf(path, sizeof path, "/proc/%d/task", (int)parent);
    DIR *threads = opendir(path);
    if (!threads)
        return; /* it is gone, and its children are ours */
    for (struct dirent *entry; (entry = readdir(threads));) {
        if (!is_number(entry->d_name))
            continue;
        snprintf(path, sizeof path, "/proc/%d/task/%s/children", (int)parent, entry->d_name);
        listed |= read_children(family, path);
    }
    closedir(threads);
    if (!listed && access("/proc/thread-self/children", F_OK) != 0)
        look_for_children(family, parent);
}

static bool among(pid_t pid, const pid_t *pids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (pids[i] == pid)
            return true;
    return false;
}

/* All are listed before the first is signalled: who dies of it has no children any more. */
size_t tree_signal_except(int number, const pid_t *spared, size_t count)
{
    static struct family family;
    family.count = 0;
    add_children(&family, getpid());
    size_t kept = 0;
    for (size_t i = 0; i < family.count; i++)
        if (!among(family.pids[i], spared, count))
            family.pids[kept++] = family.pids[i];
    family.count = kept;
    for (size_t i = 0; i < family.count; i++)
        add_children(&family, family.pids[i]);
    for (size_t i = 0; i < family.count; i++) {
        kill(family.pids[i], number);
        if (number != SIGKILL)
            kill(family.pids[i], SIGCONT); /* a stopped process acts only when it goes on */
    }
    return family.count;
}

void tree_signal(int number)
{
    tree_signal_except(number, NULL, 0);
}
