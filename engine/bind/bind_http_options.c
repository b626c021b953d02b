#include "bind/bind_http.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bind/options.h"

#define BODY "orch.http.body"

static void read_peer(lua_State *L, int arg, struct http_peer *peer)
{
    *peer = (struct http_peer){
        .unix_path = opt_text(L, arg, "unix", NULL),
        .ca_file = opt_text(L, arg, "ca_file", NULL),
        .cert_file = opt_text(L, arg, "cert_file", NULL),
        .key_file = opt_text(L, arg, "key_file", NULL),
        .connect_timeout_ms = opt_milliseconds(L, arg, "connect_timeout", 10),
    };
}

void http_read_place(lua_State *L, const char *function, struct http_stream_spec *spec)
{
    read_peer(L, 1, &spec->peer);
    spec->host = opt_text(L, 1, "host", NULL);
    spec->tls = opt_bool(L, 1, "tls", false);
    const lua_Integer port = opt_integer(L, 1, "port", 0);
    spec->port = (unsigned)port;
    if (!spec->peer.unix_path == !spec->host)
        luaL_error(L, "%s: either 'unix' or 'host' and 'port' must be given", function);
    if (spec->host && (port < 1 || port > 65535))
        luaL_error(L, "%s: option 'port' must be 1 to 65535", function);
    if (spec->host && strpbrk(spec->host, "/?#@[]% \t\r\n"))
        luaL_error(L, "%s: option 'host' is no host's name", function);
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
    const char *path = opt_text(L, 1, "body_file", NULL);
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

/* --- http.request's own ----------------------------------------------------------------------- */

static const struct opt request_options[] = {
    HTTP_PEER_OPTIONS,
    {"url", OPT_PLAIN, true},
    {"method", OPT_PLAIN, false},
    {"headers", OPT_MAP, false},
    {"body", OPT_TEXT, false},
    {"body_fd", OPT_INTEGER, false},
    {"body_file", OPT_PLAIN, false},
    {"body_length", OPT_INTEGER, false},
    {"body_max", OPT_INTEGER, false},
    {"stream", OPT_BOOL, false},
    {"file", OPT_PLAIN, false},
    {"timeout", OPT_NUMBER, false},
    {"idle_timeout", OPT_NUMBER, false},
    {"redirects", OPT_INTEGER, false},
    {"basic", OPT_MAP, false},
    {NULL, 0, false},
};

static const struct opt basic_options[] = {
    {"user", OPT_TEXT, true},
    {"password", OPT_TEXT, true},
    {NULL, 0, false},
};

static void read_basic(lua_State *L, struct http_spec *spec)
{
    if (lua_getfield(L, 1, "basic") != LUA_TNIL) {
        const int basic = lua_gettop(L);
        size_t user_len, password_len;
        bind_options(L, basic, basic_options, "http.request: basic");
        spec->user = opt_text(L, basic, "user", &user_len);
        spec->password = opt_text(L, basic, "password", &password_len);
        if (strchr(spec->user, ':') || strlen(spec->user) != user_len ||
            strlen(spec->password) != password_len)
            luaL_error(L, "http.request: option 'basic' holds a zero byte, or a colon in 'user'");
    }
    lua_pop(L, 1);
}

static void read_body(lua_State *L, struct http_spec *spec)
{
    spec->body = opt_text(L, 1, "body", &spec->body_len);
    spec->body_fd = (int)opt_integer(L, 1, "body_fd", -1);
    spec->body_length = opt_integer(L, 1, "body_length", -1);
    const bool from_file = opt_text(L, 1, "body_file", NULL) != NULL;
    if ((spec->body != NULL) + (spec->body_fd >= 0) + from_file > 1)
        luaL_error(L, "http.request: 'body', 'body_fd' and 'body_file' exclude each other");
    if (spec->body_length >= 0 && spec->body_fd < 0)
        luaL_error(L, "http.request: 'body_length' belongs to 'body_fd'");
}

void http_read_request(lua_State *L, struct http_spec *spec)
{
    const char *const function = "http.request";
    bind_options(L, 1, request_options, function);
    *spec = (struct http_spec){
        .url = opt_text(L, 1, "url", NULL),
        .method = opt_text(L, 1, "method", NULL),
        .file = opt_text(L, 1, "file", NULL),
        .timeout_ms = opt_milliseconds(L, 1, "timeout", 0),
        .idle_timeout_ms = opt_milliseconds(L, 1, "idle_timeout", 60),
    };
    const lua_Integer redirects = opt_integer(L, 1, "redirects", 0);
    if (redirects > 50)
        luaL_error(L, "http.request: option 'redirects' is at most 50");
    spec->redirects = (unsigned)redirects;
    if (spec->method)
        http_check_token(L, spec->method, function, "method");
    read_peer(L, 1, &spec->peer);
    read_body(L, spec);
    if ((spec->body_fd >= 0 || opt_text(L, 1, "body_file", NULL)) && spec->method &&
        strcmp(spec->method, "HEAD") == 0)
        luaL_error(L, "http.request: a HEAD request has no body");
    read_basic(L, spec);
    const bool kept = !spec->file && !opt_bool(L, 1, "stream", false);
    if (spec->file && opt_bool(L, 1, "stream", false))
        luaL_error(L, "http.request: 'file' and 'stream' exclude each other");
    spec->body_max = (uint64_t)opt_integer(L, 1, "body_max", kept ? HTTP_BODY_MAX : 0);
    spec->fields = http_read_fields(L, 1, function, &spec->field_count);
}

static int body_close(lua_State *L)
{
    int *fd = luaL_checkudata(L, 1, BODY);
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    return 0;
}

int *http_guard_body(lua_State *L)
{
    int *fd = lua_newuserdatauv(L, sizeof *fd, 0);
    *fd = -1;
    luaL_setmetatable(L, BODY);
    const int guard = lua_gettop(L);
    if (lua_istable(L, 1) && lua_getfield(L, 1, "body_fd") == LUA_TNUMBER)
        *fd = (int)lua_tointeger(L, -1);
    lua_settop(L, guard);
    lua_toclose(L, guard);
    return fd;
}

void http_open_options(lua_State *L)
{
    bind_type(L, BODY, NULL, body_close);
    bind_closable(L, BODY, body_close);
}
