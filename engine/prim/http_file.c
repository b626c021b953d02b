#include "prim/http_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

struct http_file {
    int fd;
    char *path, *part; /* part is written, then becomes path */
};

struct http_file *http_file_open(const char *path, struct err *err)
{
    static const char suffix[] = ".part-XXXXXX";
    if (!file_replaceable(path, err))
        return NULL;
    struct http_file *file = mem_alloc(sizeof *file);
    const size_t len = strlen(path);
    file->path = mem_text(path);
    file->part = mem_alloc(len + sizeof suffix);
    memcpy(file->part, path, len);
    memcpy(file->part + len, suffix, sizeof suffix);
    file->fd = mkostemp(file->part, O_CLOEXEC);
    if (file->fd >= 0)
        return file;
    err_system(err, errno, "cannot write %s", path);
    mem_free(file->path);
    mem_free(file->part);
    mem_free(file);
    return NULL;
}

bool http_file_write(struct http_file *file, const char *data, size_t len, struct err *err)
{
    return fd_write(file->fd, data, len) || err_system(err, errno, "cannot write %s", file->path);
}

bool http_file_close(struct http_file *file, bool keep, struct err *err)
{
    if (!file)
        return true;
    bool good = close(file->fd) == 0;
    if (keep && good)
        good = rename(file->part, file->path) == 0;
    if (!good)
        err_system(err, errno, "cannot write %s", file->path);
    if (!keep || !good)
        unlink(file->part);
    mem_free(file->path);
    mem_free(file->part);
    mem_free(file);
    return good;
}
