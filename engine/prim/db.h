/* One SQLite database on a thread of its own: statements run in the order in which they were
   started, and the loop never waits for a disk. */
#ifndef PRIM_DB_H
#define PRIM_DB_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "loop/loop.h"

enum db_type { DB_NULL, DB_INTEGER, DB_REAL, DB_TEXT };

struct db_value {
    enum db_type type;
    int64_t integer;
    double real;
    char *text; /* owned by whoever owns the value; NUL-ended */
    size_t len;
};

struct db_result {
    struct err err;
    char **columns; /* names, column_count of them */
    size_t column_count;
    struct db_value *cells; /* row by row */
    size_t row_count;
    int64_t changes, last_id;
};

struct db_statement {
    const char *sql; /* one statement */
    const struct db_value *params;
    size_t param_count;
};

/* Several statements are one transaction (BEGIN IMMEDIATE), all or nothing; the last one's rows are
   the result. None are done when all before them are. At most 100,000 rows (ERR_LIMIT). */
struct db_spec {
    const struct db_statement *statements;
    size_t count;
    /* on disk before done comes, so that a power cut loses it no more than a crash does */
    bool durable;
    bool quiet;   /* done comes only when it fails */
    /* it is handed to the thread with what follows that is not for later, or after 20 ms */
    bool later;
};

/* result and what it points to live until the callback returns. */
typedef void db_done(void *arg, const struct db_result *result);
typedef void db_closed(void *arg);

struct db;

/* Opens (creating file and no directory) with WAL, synchronous NORMAL, a busy time of 10 s, foreign
   keys on. A failure to open is told by every statement. */
struct db *db_open(struct loop *loop, const char *path);
struct request;

/* The request is good until done has been called; for db_cancel only. */
struct request *db_start(struct db *db, const struct db_spec *spec, db_done *done, void *arg);
/* Ends a statement that only reads (ERR_CANCELLED). What writes is short, and is done: what was
   recorded must be known. */
void db_cancel(struct request *request);
/* Has all that was started, but for what is for later and may wait still, been done, and none of
   the quiet failed? */
bool db_settled(const struct db *db);
/* After the statements that were started; closed comes from the loop, then db is gone. */
void db_close(struct db *db, db_closed *closed, void *arg);

#endif
