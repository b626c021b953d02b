#include "prim/tar_pack.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "prim/tar_select.h"
#include "prim/tar_tree.h"

struct tar_pack {
    struct work *work;
    tar_pack_done *done;
    void *arg;
    struct tar_pack_spec spec;
    char *root, *file, **patterns;
    struct selection selection;
    int fd;
    struct tar_pack_result result;
};

static void release(struct tar_pack *pack)
{
    select_fini(&pack->selection);
    for (size_t i = 0; i < pack->spec.path_count; i++)
        mem_free(pack->patterns[i]);
    mem_free(pack->patterns);
    mem_free(pack->root);
    mem_free(pack->file);
    tar_names_fini(&pack->result.names);
    mem_free(pack);
}

static bool to_file(void *arg, const void *data, size_t len, struct err *err)
{
    struct tar_pack *pack = arg;
    return fd_write(pack->fd, data, len) ||
           err_system(err, errno, "cannot write %s", pack->file);
}

static bool write_archive(struct tar_pack *pack, const atomic_bool *stop, struct err *err)
{
    struct stat st;
    struct tree_count count;
    if (fstat(pack->fd, &st) != 0)
        return err_system(err, errno, "cannot write %s", pack->file);
    const struct tar_out_spec out_spec = {
        .compression = pack->spec.compression, .level = pack->spec.level, .digests = true,
        .sink = to_file, .arg = pack,
    };
    struct tar_out *out = tar_out_new(&out_spec, err);
    if (!out)
        return false;
    const struct tree_spec tree = {
        .root = pack->root, .out = out, .stop = stop,
        .judge = select_judge, .arg = &pack->selection, .state_size = sizeof(bool),
        .fixed_mtime = pack->spec.fixed_mtime, .mtime = pack->spec.mtime,
        .skip_dev = st.st_dev, .skip_ino = st.st_ino,
        .names = &pack->result.names,
    };
    bool good = tree_write(&tree, &count, err) && tar_out_finish(out, err);
    if (good) {
        struct tar_pack_result *result = &pack->result;
        memcpy(result->digest, tar_out_digest(out), TAR_DIGEST_SIZE);
        memcpy(result->diff_id, tar_out_diff_id(out), TAR_DIGEST_SIZE);
        result->size = tar_out_size(out);
        result->entries = count.entries;
        result->bytes = count.bytes;
    }
    tar_out_free(out);
    return good;
}

static bool missing_root(const struct tar_pack *pack, struct err *err)
{
    return err_set(err, ERR_MISSING, "no directory %s%s", pack->root,
                   strchr(pack->root, '$') ? ": variables are not expanded here, the '$' is taken "
                                             "as it stands"
                                           : "");
}

static void run(void *arg, const atomic_bool *stop)
{
    struct tar_pack *pack = arg;
    struct err *err = &pack->result.err;
    struct stat st;
    uint64_t salt = 0;
    if (stat(pack->root, &st) != 0 || !S_ISDIR(st.st_mode)) {
        missing_root(pack, err);
        return;
    }
    if (!file_replaceable(pack->file, err) ||
        !select_find(&pack->selection, pack->root, (const char *const *)pack->patterns, stop, err))
        return;
    struct buf beside;
    buf_init(&beside, 1 << 16);
    if (getrandom(&salt, sizeof salt, 0) != sizeof salt ||
        !buf_format(&beside, "%s.%016" PRIx64, pack->file, salt)) {
        err_set(err, ERR_LIMIT, "the name %s is too long", pack->file);
        buf_fini(&beside);
        return;
    }
    pack->fd = open(beside.data, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (pack->fd < 0) {
        err_system(err, errno, "cannot write %s", pack->file);
        buf_fini(&beside);
        return;
    }
    bool good = write_archive(pack, stop, err);
    if (close(pack->fd) != 0 && good)
        good = err_system(err, errno, "cannot write %s", pack->file);
    if (good && rename(beside.data, pack->file) != 0)
        good = err_system(err, errno, "cannot write %s", pack->file);
    if (!good)
        unlink(beside.data);
    else
        tar_names_sort(&pack->result.names);
    buf_fini(&beside);
}

static void on_done(void *arg, bool cancelled)
{
    struct tar_pack *pack = arg;
    if (cancelled)
        err_set(&pack->result.err, ERR_CANCELLED, "packing %s was cancelled", pack->root);
    pack->done(pack->arg, &pack->result);
    release(pack);
}

struct tar_pack *tar_pack_start(struct loop *loop, const struct tar_pack_spec *spec,
                                tar_pack_done *done, void *arg, struct err *err)
{
    if (!select_check(spec->paths, spec->path_count, err))
        return NULL;
    struct tar_pack *pack = mem_alloc(sizeof *pack);
    *pack = (struct tar_pack){.done = done, .arg = arg, .spec = *spec, .fd = -1};
    pack->root = mem_text(spec->root);
    pack->file = mem_text(spec->file);
    pack->patterns = mem_alloc((spec->path_count + 1) * sizeof *pack->patterns);
    for (size_t i = 0; i < spec->path_count; i++)
        pack->patterns[i] = mem_text(spec->paths[i]);
    tar_names_init(&pack->result.names);
    pack->work = work_start(loop, &(struct work_spec){.run = run, .done = on_done, .arg = pack,
                                                      .heavy = true});
    return pack;
}

void tar_pack_cancel(struct tar_pack *pack)
{
    work_cancel(pack->work);
}
