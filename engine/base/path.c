#include "base/path.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

enum { PATH_CEILING = 1 << 20 };

char *path_clean(const char *path)
{
    const bool rooted = path[0] == '/';
    struct buf out;
    buf_init(&out, PATH_CEILING);
    buf_room(&out, strlen(path)); /* at once, since growing copies */
    size_t floor = 0; /* what ".." must not remove */
    if (rooted) {
        buf_char(&out, '/');
        floor = 1;
    }
    for (const char *p = path; *p;) {
        size_t len = strcspn(p, "/");
        if (len == 2 && memcmp(p, "..", 2) == 0) {
            if (out.len > floor) {
                while (out.len > floor && out.data[out.len - 1] != '/')
                    out.len--;
                if (out.len > floor)
                    out.len--;
                out.data[out.len] = '\0';
            } else if (!rooted) {
                buf_text(&out, out.len ? "/.." : "..");
                floor = out.len;
            }
        } else if (len > 0 && !(len == 1 && *p == '.')) {
            if (out.len > 0 && out.data[out.len - 1] != '/')
                buf_char(&out, '/');
            buf_add(&out, p, len);
        }
        p += len;
        p += *p == '/';
    }
    if (out.len == 0)
        buf_char(&out, '.');
    return buf_take(&out);
}

char *path_join(const char *base, const char *path)
{
    if (path[0] == '/' || base[0] == '\0')
        return path_clean(path);
    struct buf both;
    buf_init(&both, PATH_CEILING);
    buf_room(&both, strlen(base) + 1 + strlen(path));
    buf_text(&both, base);
    buf_char(&both, '/');
    buf_text(&both, path);
    char *clean = path_clean(both.data ? both.data : ".");
    buf_fini(&both);
    return clean;
}

const char *path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

char *path_dir(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return mem_text(".");
    return mem_textn(path, slash == path ? 1 : (size_t)(slash - path));
}

bool path_is_inner(const char *path)
{
    if (path[0] == '/' || path[0] == '\0')
        return false;
    for (const char *p = path; *p;) {
        size_t len = strcspn(p, "/");
        if (len == 2 && memcmp(p, "..", 2) == 0)
            return false;
        p += len;
        p += *p == '/';
    }
    return true;
}
