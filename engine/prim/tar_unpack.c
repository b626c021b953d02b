#include "prim/tar_unpack.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "prim/tar_ground.h"

struct tar_unpack {
    struct work *work;
    tar_unpack_done *done;
    void *arg;
    struct tar_unpack_spec spec;
    char *file, *into;
    struct tar_in *in;
    struct tar_ground *ground;
    size_t room; /* of result.listed */
    struct tar_unpack_result result;
};

/* --- unpacking -------------------------------------------------------------------------------- */

static bool write_at(struct tar_unpack *unpack, int fd, const char *data, size_t len,
                     long long offset, struct err *err)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, data, len, (off_t)offset);
        if (n < 0 && errno != EINTR)
            return err_system(err, errno, "cannot write into %s", unpack->into);
        if (n > 0) {
            data += n;
            offset += n;
            len -= (size_t)n;
        }
    }
    return true;
}

static bool write_content(struct tar_unpack *unpack, int fd, const struct tar_item *item,
                          struct err *err)
{
    const void *data;
    size_t len;
    long long offset = 0;
    char shown[TAR_SHOWN_SIZE];
    for (;;) {
        if (!tar_in_data(unpack->in, &data, &len, &offset, err))
            return false;
        if (len == 0)
            break;
        if (offset < 0 || offset > item->size || (long long)len > item->size - offset)
            return err_set(err, ERR_REMOTE, "%s is no good archive: '%s' is larger than it says",
                           unpack->file, tar_shown(item->path, shown));
        if (!write_at(unpack, fd, data, len, offset, err))
            return false;
    }
    /* a hole at the end of a sparse file */
    return ftruncate(fd, (off_t)item->size) == 0 ||
           err_system(err, errno, "cannot write into %s", unpack->into);
}

static bool unpack_file(struct tar_unpack *unpack, const char *path, const struct tar_item *item,
                        struct err *err)
{
    int fd = tar_ground_file(unpack->ground, path, err);
    if (fd < 0)
        return false;
    bool good = write_content(unpack, fd, item, err);
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = item->mtime}};
    futimens(fd, times);
    if (good && fchmod(fd, item->mode & 0777) != 0)
        good = err_system(err, errno, "cannot set a mode in %s", unpack->into);
    if (close(fd) != 0 && good)
        good = err_system(err, errno, "cannot write into %s", unpack->into);
    return good;
}

static bool unpack_link(struct tar_unpack *unpack, const char *path, const char *link,
                        struct err *err)
{
    char *target = tar_ground_name(unpack->ground, link, err);
    bool good = target && tar_ground_link(unpack->ground, path, target, err);
    mem_free(target);
    return good;
}

static bool unpack_item(struct tar_unpack *unpack, const struct tar_item *item, struct err *err)
{
    char shown[TAR_SHOWN_SIZE];
    char *path = tar_ground_name(unpack->ground, item->path, err);
    if (!path)
        return false;
    bool good, directory = item->type == TAR_DIRECTORY;
    if (!directory && strcmp(path, ".") == 0)
        good = err_set(err, ERR_FAILED, "entry '%s' is no directory and was refused",
                       tar_shown(item->path, shown));
    else if (directory)
        good = tar_ground_dir(unpack->ground, path, item->mode, item->mtime, err);
    else if (item->type == TAR_FILE)
        good = unpack_file(unpack, path, item, err);
    else if (item->type == TAR_SYMLINK)
        good = tar_ground_symlink(unpack->ground, path, item->link, item->mtime, err);
    else if (item->type == TAR_HARDLINK)
        good = unpack_link(unpack, path, item->link, err);
    else
        good = err_set(err, ERR_FAILED, "entry '%s' is a device, fifo or socket and was refused",
                       tar_shown(item->path, shown));
    if (good && unpack->spec.names && !directory && !tar_names_add(&unpack->result.names, path))
        good = err_set(err, ERR_LIMIT, "the names in %s are too long together", unpack->file);
    mem_free(path);
    return good;
}

/* --- listing ---------------------------------------------------------------------------------- */

static bool list_item(struct tar_unpack *unpack, const struct tar_item *item, struct err *err)
{
    struct tar_unpack_result *result = &unpack->result;
    size_t count = (size_t)tar_in_entries(unpack->in);
    if (!unpack->spec.names)
        return true;
    if (count > unpack->room) {
        unpack->room = count * 2;
        result->listed = mem_grow(result->listed, unpack->room * sizeof *result->listed);
    }
    result->listed[count - 1] =
        (struct tar_listed){item->type, item->mode, item->size, item->link != NULL};
    return (tar_names_add(&result->names, item->path) &&
            (!item->link || tar_names_add(&result->names, item->link))) ||
           err_set(err, ERR_LIMIT, "the names in %s are too long together", unpack->file);
}

static bool each_item(struct tar_unpack *unpack, struct err *err)
{
    struct tar_item item;
    for (;;) {
        bool end;
        if (!tar_in_next(unpack->in, &item, &end, err))
            return false;
        if (end)
            return true;
        if (!(unpack->into ? unpack_item : list_item)(unpack, &item, err))
            return false;
    }
}

static void run(void *arg, const atomic_bool *stop)
{
    struct tar_unpack *unpack = arg;
    struct tar_unpack_result *result = &unpack->result;
    struct err *err = &result->err;
    const struct tar_in_spec spec = {
        .file = unpack->file, .stop = stop,
        .entries_max = unpack->spec.entries_max, .bytes_max = unpack->spec.bytes_max,
        .any_expansion = unpack->spec.any_expansion,
    };
    unpack->in = tar_in_open(&spec, err);
    if (unpack->in && unpack->into)
        unpack->ground = tar_ground_open(unpack->into, spec.entries_max, stop, err);
    if (unpack->in && (unpack->ground || !unpack->into) && each_item(unpack, err)) {
        result->entries = tar_in_entries(unpack->in);
        result->bytes = tar_in_bytes(unpack->in);
        if (unpack->into)
            tar_names_sort(&result->names);
    }
    if (unpack->ground) {
        struct err late;
        if (!tar_ground_finish(unpack->ground, &late) && err->kind == ERR_NONE)
            *err = late;
    }
    tar_in_close(unpack->in);
    tar_ground_close(unpack->ground);
}

static void on_done(void *arg, bool cancelled)
{
    struct tar_unpack *unpack = arg;
    if (cancelled)
        err_set(&unpack->result.err, ERR_CANCELLED, "reading %s was cancelled", unpack->file);
    unpack->done(unpack->arg, &unpack->result);
    tar_names_fini(&unpack->result.names);
    mem_free(unpack->result.listed);
    mem_free(unpack->file);
    mem_free(unpack->into);
    mem_free(unpack);
}

struct tar_unpack *tar_unpack_start(struct loop *loop, const struct tar_unpack_spec *spec,
                                    tar_unpack_done *done, void *arg)
{
    struct tar_unpack *unpack = mem_alloc(sizeof *unpack);
    *unpack = (struct tar_unpack){.done = done, .arg = arg, .spec = *spec,
                                  .file = mem_text(spec->file), .into = mem_text(spec->into)};
    tar_names_init(&unpack->result.names);
    unpack->work = work_start(loop, &(struct work_spec){.run = run, .done = on_done,
                                                        .arg = unpack, .heavy = true});
    return unpack;
}

void tar_unpack_cancel(struct tar_unpack *unpack)
{
    work_cancel(unpack->work);
}
