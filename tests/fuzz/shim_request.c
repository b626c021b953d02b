/* What a shim in a container is to run, as frames on its standard input. */
#include "shim/request.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "fuzz.h"

enum { HEAD = 5 };

/* A request goes to the directory that it names. */
static int home = -1;

static void ask(const uint8_t *data, size_t size)
{
    const int input = memfd_create("input", 0);
    fuzz_check(input >= 0 && write(input, data, size) == (ssize_t)size, "the input is written");
    lseek(input, 0, SEEK_SET);
    dup2(input, STDIN_FILENO);
    close(input);
}

static size_t length(const uint8_t *head)
{
    return (size_t)head[1] << 24 | (size_t)head[2] << 16 | (size_t)head[3] << 8 | head[4];
}

/* The bytes of the i frames between r and g. */
static size_t input_length(const uint8_t *data, size_t size)
{
    size_t sum = 0;
    for (size_t at = 0; at + HEAD <= size && data[at] != 'g'; at += HEAD + length(data + at))
        sum += data[at] == 'i' ? length(data + at) : 0;
    return sum;
}

static bool inside(const char *text, const uint8_t *data, size_t size)
{
    return !*text || memmem(data, size, text, strlen(text));
}

static void check(const struct request *request, const uint8_t *data, size_t size)
{
    struct err err;
    struct stat st;
    fuzz_check(request->argv[0] && request->argv[0][0], "a program is named");
    for (char **each = request->argv; *each; each++)
        fuzz_check(inside(*each, data, size), "an argument is of the request");
    for (char **each = request->env; *each; each++)
        fuzz_check(inside(*each, data, size), "a variable is of the request");
    fuzz_check(fstat(request->input, &st) == 0, "there is an input");
    fuzz_check((S_ISREG(st.st_mode) ? (size_t)st.st_size : 0) == input_length(data, size),
               "the input is what was sent");
    char *path = request_program(request, &err);
    fuzz_check(path ? strchr(path, '/') != NULL : err.kind == ERR_MISSING,
        "a path, or none is there");
    mem_free(path);
}

static void forget(struct request *request)
{
    if (request->input > STDIN_FILENO)
        close(request->input);
    request_fini(request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct request request = {.input = -1};
    struct err err = {0};
    if (home < 0)
        home = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ask(data, size);
    struct wire_frame frame = {0};
    if (!wire_take(&frame) || frame.type != 'r')
        err_set(&err, ERR_CANCELLED, "no request");
    const bool good = frame.type == 'r' && request_take(&request, &frame, &err);
    mem_wipe(frame.data, frame.len);
    fuzz_check(good || err.kind != ERR_NONE, "a refusal has a reason");
    if (good)
        check(&request, data, size);
    forget(&request);
    fuzz_check(fchdir(home) == 0, "the way back");
    return 0;
}
