#include "bind/bind_http.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

uint64_t http_milliseconds(lua_State *L, int arg, const char *key, lua_Number fallback)
{
    const lua_Number seconds = opt_number(L, arg, key, fallback);
    if (!(seconds < 1e9))
        luaL_error(L, "option '%s' is more seconds than can be waited", key);
    return (uint64_t)(seconds * 1000 + 0.5);
}

const char *http_plain(lua_State *L, int arg, const char *key, const char *function)
{
    size_t len;
    const char *text = opt_text(L, arg, key, &len);
    if (text && (len == 0 || strlen(text) != len))
        luaL_error(L, "%s: option '%s' is empty or holds a zero byte", function, key);
    return text;
}

void http_read_peer(lua_State *L, int arg, struct http_peer *peer)
{
    const char *function = "orch.http";
    *peer = (struct http_peer){
        .unix_path = http_plain(L, arg, "unix", function),
        .ca_file = http_plain(L, arg, "ca_file", function),
        .cert_file = http_plain(L, arg, "cert_file", function),
        .key_file = http_plain(L, arg, "key_file", function),
        .connect_timeout_ms = http_milliseconds(L, arg, "connect_timeout", 10),
    };
}

void http_check_token(lua_State *L, const char *text, const char *function, const char *what)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    const char *c = text;
    while ((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
           (*c && strchr(others, *c)))
        c++;
    if (*c || c == text || c - text > 128)
        luaL_error(L, "%s: '%s' is no %s", function, text, what);
}

/* The bytes of the header value on top; a number becomes a string in its table, so that the bytes
   stay when it is popped. */
static const char *value_text(lua_State *L, int table, const char *function, const char *name)
{
    size_t len;
    if (lua_type(L, -1) == LUA_TNUMBER) { /* table: … key value */
        lua_tostring(L, -1);
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2); /* … key value key value */
        lua_rawset(L, table);
    }
    if (!lua_isstring(L, -1) && !luaL_testudata(L, -1, "orch.secret"))
        luaL_error(L, "%s: header '%s' must be a string, a secret or a list of them, got %s",
                   function, name, luaL_typename(L, -1));
    const char *text = bind_text(L, -1, &len);
    if (strlen(text) != len || strpbrk(text, "\r\n"))
        luaL_error(L, "%s: header '%s' holds a line break or a zero byte", function, name);
    return text;
}

static void check_name(lua_State *L, const char *name, const char *function)
{
    static const char *const ours[] = {"content-length", "transfer-encoding", "expect", NULL};
    http_check_token(L, name, function, "header name");
    for (int i = 0; ours[i]; i++)
        if (strcasecmp(name, ours[i]) == 0)
            luaL_error(L, "%s: header '%s' is set by the engine; see option 'body_length'",
                       function, name);
}

/* Visits each value of the map on top; fills fields when it is not NULL. */
static size_t visit(lua_State *L, const char *function, struct http_field *fields)
{
    const int map = lua_gettop(L);
    size_t count = 0;
    for (lua_pushnil(L); lua_next(L, map); lua_pop(L, 1)) { /* map name value */
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "%s: option 'headers' must map names to values", function);
        const char *name = lua_tostring(L, -2);
        check_name(L, name, function);
        if (!lua_istable(L, -1)) {
            const char *value = value_text(L, map, function, name);
            if (fields)
                fields[count] = (struct http_field){.name = name, .value = value};
            count++;
            continue;
        }
        const int list = lua_gettop(L);
        for (lua_Integer i = 1, n = (lua_Integer)lua_rawlen(L, list); i <= n; i++) {
            lua_pushinteger(L, i);
            lua_rawgeti(L, list, i); /* map name list i value */
            const char *value = value_text(L, list, function, name);
            lua_pop(L, 2);
            if (fields)
                fields[count] = (struct http_field){.name = name, .value = value};
            count++;
        }
    }
    return count;
}

const struct http_field *http_read_fields(lua_State *L, int arg, const char *function,
                                          size_t *count)
{
    *count = 0;
    luaL_checkstack(L, 8, "too many values");
    if (lua_getfield(L, arg, "headers") == LUA_TNIL)
        return NULL;
    *count = visit(L, function, NULL);
    struct http_field *fields = lua_newuserdatauv(L, (*count + 1) * sizeof *fields, 0);
    lua_insert(L, -2); /* fields map */
    visit(L, function, fields);
    lua_pop(L, 1);
    return fields;
}

bool http_open_body(lua_State *L, struct http_spec *spec, struct err *err)
{
    const char *path = http_plain(L, 1, "body_file", "http.request");
    if (!path)
        return true;
    struct stat stat;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &stat) != 0) {
        err_system(err, errno, "cannot send %s", path);
    } else if (!S_ISREG(stat.st_mode)) {
        err_set(err, ERR_USAGE, "cannot send %s: it is no regular file", path);
    } else {
        spec->body_fd = fd;
        spec->body_length = stat.st_size;
        return true;
    }
    if (fd >= 0)
        close(fd);
    return false;
}
