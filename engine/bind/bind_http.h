/* Shared by bind/bind_http*.c: failing, streams, and option reading. */
#ifndef BIND_HTTP_H
#define BIND_HTTP_H

#include "bind/bind.h"
#include "prim/http.h"
#include "prim/http_stream.h"

/* Ends with nil, err; err gets its op. */
int http_fail(lua_State *L, struct err *err);
/* Pushes { name = value } of a head. */
void http_push_fields(lua_State *L, const struct http_head *head);

/* bind_http_stream.c: http.stream, http.upgrade, and the type they return. */
int http_l_stream(lua_State *L);
int http_l_upgrade(lua_State *L);
void http_open_stream(lua_State *L);

/* Option keys that tell how a server is reached. */
#define HTTP_PEER_OPTIONS                                                                        \
    {"unix", OPT_PLAIN, false}, {"ca_file", OPT_PLAIN, false}, {"cert_file", OPT_PLAIN, false},  \
        {"key_file", OPT_PLAIN, false}, {"connect_timeout", OPT_NUMBER, false}
/* The same, and which server, for a connection that is no request. */
#define HTTP_PLACE_OPTIONS                                                                       \
    HTTP_PEER_OPTIONS, {"host", OPT_PLAIN, false}, {"port", OPT_INTEGER, false},                 \
        {"tls", OPT_BOOL, false}
void http_read_place(lua_State *L, const char *function, struct http_stream_spec *spec);
/* The fields of the map `headers`; leaves the block (a userdata, or nil) on the stack. */
const struct http_field *http_read_fields(lua_State *L, int arg, const char *function,
                                          size_t *count);
/* The file of option body_file as the spec's body. The last thing before http_start, which takes
   the descriptor: an error raised in between would leak it. */
bool http_open_body(lua_State *L, struct http_spec *spec, struct err *err);
/* Pushes an owner of the descriptor that option body_fd names: closed with the call unless set to
   -1. For a task that is cancelled already, whose caller has handed it over. */
int *http_guard_body(lua_State *L);
enum { HTTP_BODY_MAX = 16 << 20 }; /* default of body_max for an answer that is kept in memory */
/* All options at 1 but body_file, head and output; leaves on the stack what spec borrows from. */
void http_read_request(lua_State *L, struct http_spec *spec);
/* Makes the types of bind_http_options.c. */
void http_open_options(lua_State *L);
/* Raises unless text is a method's or a field's name. */
void http_check_token(lua_State *L, const char *text, const char *function, const char *what);

#endif
