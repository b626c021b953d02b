/* The database as its thread has it. For db.c only. */
#ifndef PRIM_DB_CONNECTION_H
#define PRIM_DB_CONNECTION_H

#include <stdatomic.h>

#include "prim/db.h"

struct connection;

struct request {
    struct request *next;
    struct db_statement *statements;
    size_t count;
    bool durable, quiet;
    atomic_bool unwanted; /* set by the loop: a statement of it that only reads may end early */
    uint64_t number; /* they are counted from 1 */
    db_done *done;
    void *arg;
    struct db_result result;
};

void request_free(struct request *request);

/* path is borrowed. A failure to open is every request's. */
struct connection *connection_open(const char *path);
/* Fills in the results of a list of requests. What waits together is committed together: one
   synchronisation for all of it, so that answers go out only when it returns. */
void connection_run(struct connection *connection, struct request *first);
void connection_close(struct connection *connection);

#endif
