#include "prim/http_head.h"

#include <string.h>

#include "base/mem.h"

enum { LINES_MAX = 1000 };

void http_head_free(struct http_head *head)
{
    if (!head)
        return;
    for (size_t i = 0; i < head->count; i++) {
        mem_free((char *)head->fields[i].name);
        mem_free((char *)head->fields[i].value);
    }
    mem_free(head->fields);
    mem_free(head->url);
    mem_free(head);
}

static struct http_field *find(const struct http_head *head, const char *name)
{
    for (size_t i = 0; i < head->count; i++)
        if (strcmp(head->fields[i].name, name) == 0)
            return &head->fields[i];
    return NULL;
}

const char *http_head_get(const struct http_head *head, const char *name)
{
    const struct http_field *field = find(head, name);
    return field ? field->value : NULL;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

struct http_head *http_head_new(const char *line, size_t len)
{
    if (len < 9 || memcmp(line, "HTTP/", 5) != 0)
        return NULL;
    const char *status = memchr(line, ' ', len);
    if (!status || line + len - status < 4 || !is_digit(status[1]) || !is_digit(status[2]) ||
        !is_digit(status[3]) || (line + len - status > 4 && is_digit(status[4])))
        return NULL;
    struct http_head *head = mem_alloc(sizeof *head);
    head->status = (status[1] - '0') * 100 + (status[2] - '0') * 10 + status[3] - '0';
    return head;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void append(struct http_field *field, const char *between, const char *text, size_t len)
{
    const size_t had = strlen(field->value), gap = strlen(between);
    char *joined = mem_grow((char *)field->value, had + gap + len + 1);
    memcpy(joined + had, between, gap);
    memcpy(joined + had + gap, text, len);
    joined[had + gap + len] = '\0';
    field->value = joined;
}

static char *lower(const char *name, size_t len)
{
    char *text = mem_textn(name, len);
    for (char *c = text; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    return text;
}

bool http_head_add(struct http_head *head, const char *line, size_t len, struct err *err)
{
    if (++head->lines > LINES_MAX)
        return err_set(err, ERR_LIMIT, "the answer has more than %d header lines", LINES_MAX);
    const bool more = len > 0 && (line[0] == ' ' || line[0] == '\t');
    const char *colon = memchr(line, ':', len);
    const char *end = line + len, *value = more ? line : colon ? colon + 1 : end;
    while (end > value && is_blank(end[-1]))
        end--;
    while (value < end && is_blank(*value))
        value++;
    if (more && head->count > 0)
        append(&head->fields[head->count - 1], " ", value, (size_t)(end - value));
    if (more || !colon)
        return true;
    char *name = lower(line, (size_t)(colon - line));
    struct http_field *old = find(head, name);
    if (old) {
        append(old, ", ", value, (size_t)(end - value));
        mem_free(name);
        return true;
    }
    head->fields = mem_grow(head->fields, (head->count + 1) * sizeof *head->fields);
    head->fields[head->count++] =
        (struct http_field){.name = name, .value = mem_textn(value, (size_t)(end - value))};
    return true;
}
