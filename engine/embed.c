/* Build tool: embed OUT ROOT FILE… compiles Lua files below ROOT to unstripped bytecode as C
   arrays. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

static int put_bytes(lua_State *L, const void *data, size_t len, void *out)
{
    (void)L;
    const unsigned char *bytes = data;
    for (size_t i = 0; i < len; i++)
        fprintf(out, "%u,", bytes[i]);
    fputc('\n', out);
    return 0;
}

/* The first line's comment, as a C string's inside. */
static void put_doc(const char *text, int number, FILE *out)
{
    fprintf(out, "static const char doc%d[] = \"", number);
    if (strncmp(text, "-- ", 3) == 0)
        for (const char *p = text + 3; *p && *p != '\n'; p++)
            fprintf(out, *p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
    fputs("\";\n", out);
}

static bool compile(lua_State *L, const char *root, const char *file, int number, FILE *out)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", root, file);
    FILE *in = fopen(path, "rb");
    luaL_Buffer source;
    luaL_buffinit(L, &source);
    for (size_t n = 1; in && n > 0;) {
        n = fread(luaL_prepbuffer(&source), 1, LUAL_BUFFERSIZE, in);
        luaL_addsize(&source, n);
    }
    luaL_pushresult(&source);
    if (in)
        fclose(in);
    size_t len;
    const char *text = lua_tolstring(L, -1, &len);
    const char *chunk = lua_pushfstring(L, "@lua/%s", file);
    if (!in || luaL_loadbufferx(L, text, len, chunk, "t") != LUA_OK) {
        fprintf(stderr, "embed: %s\n", in ? lua_tostring(L, -1) : path);
        return false;
    }
    put_doc(text, number, out);
    fprintf(out, "static const unsigned char code%d[] = {\n", number);
    lua_dump(L, put_bytes, out, 0);
    fputs("};\n", out);
    lua_settop(L, 0);
    return true;
}

static void put_entry(lua_State *L, const char *file, int number, FILE *out)
{
    lua_pushlstring(L, file, strlen(file) - strlen(".lua"));
    const char *name = luaL_gsub(L, lua_tostring(L, -1), "/", ".");
    size_t len = strlen(name);
    if (len > 5 && strcmp(name + len - 5, ".init") == 0)
        len -= 5;
    fprintf(out, "{\"%.*s\", \"@lua/%s\", doc%d, code%d, sizeof code%d},\n", (int)len, name, file,
            number, number, number);
    lua_settop(L, 0);
}

int main(int argc, char **argv)
{
    FILE *out = argc > 2 ? fopen(argv[1], "w") : NULL;
    if (!out) {
        fputs("usage: embed OUT ROOT FILE...\n", stderr);
        return 2;
    }
    lua_State *L = luaL_newstate();
    fputs("#include \"bind/library.h\"\n", out);
    bool good = true;
    for (int i = 3; good && i < argc; i++)
        good = compile(L, argv[2], argv[i], i, out);
    fputs("const struct library_file library_files[] = {\n", out);
    for (int i = 3; good && i < argc; i++)
        put_entry(L, argv[i], i, out);
    fputs("{NULL, NULL, NULL, NULL, 0},\n};\n", out);
    lua_close(L);
    good = fclose(out) == 0 && good;
    if (!good)
        remove(argv[1]);
    return good ? 0 : 1;
}
