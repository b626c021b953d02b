/* Reading what a function is called with: its table of options, and paths. */
#ifndef BIND_OPTIONS_H
#define BIND_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lua.h>

enum opt_type {
    OPT_TEXT,     /* a string, number or secret */
    OPT_PLAIN,    /* such a text, not empty and without a zero byte: a path, a name, a URL */
    OPT_BOOL,
    OPT_INTEGER,  /* not negative */
    OPT_NUMBER,   /* 0 to 1e12; seconds */
    OPT_LIST,     /* a table; its elements are the function's business */
    OPT_MAP,      /* a table */
    OPT_FUNCTION,
    OPT_ANY,
};
struct opt {
    const char *key;
    enum opt_type type;
    bool required;
};
/* Checks that the value at arg is a table whose keys are all in opts (ended by a NULL key) with the
   right types; raises "function: unknown option 'x' (known: …)" otherwise. */
void bind_options(lua_State *L, int arg, const struct opt *opts, const char *function);
/* Values of a checked table; the fallback where the key is absent. Text is borrowed from the
   table. */
const char *opt_text(lua_State *L, int arg, const char *key, size_t *len);
bool opt_bool(lua_State *L, int arg, const char *key, bool fallback);
lua_Integer opt_integer(lua_State *L, int arg, const char *key, lua_Integer fallback);
lua_Number opt_number(lua_State *L, int arg, const char *key, lua_Number fallback);
/* An option and a fallback in seconds. */
uint64_t opt_milliseconds(lua_State *L, int arg, const char *key, lua_Number fallback);
/* A list of texts as a NULL-ended block that the caller frees with mem_free; the strings are
   borrowed. NULL when the key is absent. Raises when an element is no text or holds a zero byte. */
const char **opt_texts(lua_State *L, int arg, const char *key, size_t *count);
/* The argument at arg: a string without a zero byte, at which every path ends. */
const char *bind_path(lua_State *L, int arg);

#endif
