/* An answer's body on its way to a file; for prim/http*.c only. */
#ifndef PRIM_HTTP_FILE_H
#define PRIM_HTTP_FILE_H

#include "prim/http.h"

struct http_file;
/* A new file beside path, mode 0600. */
struct http_file *http_file_open(const char *path, struct err *err);
bool http_file_write(struct http_file *file, const char *data, size_t len, struct err *err);
/* keep: renames it to path; else removes it. Frees file; NULL is good. */
bool http_file_close(struct http_file *file, bool keep, struct err *err);

#endif
