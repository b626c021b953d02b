#include "prim/db.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <sqlite3.h>

#include "base/mem.h"

enum {
    ROWS_MAX = 100000,
    BUSY_MS = 10000,
    PREPARED_MAX = 32,
    LOG_PAGES = 1000,      /* of write-ahead log after which it is written back while at work */
    LOG_PAGES_LEFT = 100,  /* that may stay when the database is closed: the next one reads them all */
};

/* The thread's side: the handle with the statements that it has prepared, each kept for its next use. */
struct session {
    sqlite3 *handle;
    const char *path;
    struct {
        char *sql;
        sqlite3_stmt *statement;
    } prepared[PREPARED_MAX];
    size_t next; /* the place that is given up when all are taken */
    int log_pages;
};

struct request {
    struct request *next;
    struct db_statement *statements;
    size_t count;
    bool durable;
    db_done *done;
    void *arg;
    struct db_result result;
};

struct queue {
    struct request *first, *last;
};

struct db {
    struct loop *loop;
    char *path;
    struct bell *bell;
    pthread_t thread;
    bool threadless; /* no thread was to be had: every statement fails */
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t more;
    struct queue asked, answered;
    bool closing, ended;
    db_closed *closed;
    void *closed_arg;
};

static void push(struct queue *queue, struct request *request)
{
    request->next = NULL;
    if (queue->last)
        queue->last->next = request;
    else
        queue->first = request;
    queue->last = request;
}

static struct request *take_all(struct queue *queue)
{
    struct request *first = queue->first;
    *queue = (struct queue){0};
    return first;
}

static void request_free(struct request *request)
{
    for (size_t i = 0; i < request->count; i++) {
        struct db_statement *statement = &request->statements[i];
        for (size_t k = 0; k < statement->param_count; k++)
            mem_free(statement->params[k].text);
        mem_free((void *)statement->params);
        mem_free((void *)statement->sql);
    }
    mem_free(request->statements);
    struct db_result *result = &request->result;
    for (size_t i = 0; i < result->column_count; i++)
        mem_free(result->columns[i]);
    for (size_t i = 0; i < result->row_count * result->column_count; i++)
        mem_free(result->cells[i].text);
    mem_free(result->columns);
    mem_free(result->cells);
    mem_free(request);
}

/* --- the thread --------------------------------------------------------------------------------- */

static bool fail(sqlite3 *handle, const char *path, struct err *err)
{
    int code = handle ? sqlite3_extended_errcode(handle) : SQLITE_NOMEM;
    enum err_kind kind;
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_CONSTRAINT:
        kind = ERR_CONFLICT;
        break;
    case SQLITE_ERROR:
    case SQLITE_RANGE:
    case SQLITE_MISUSE:
        kind = ERR_USAGE;
        break;
    default:
        kind = ERR_IO;
    }
    err_set(err, kind, "database %s: %s", path, handle ? sqlite3_errmsg(handle) : "out of memory");
    err->code = code;
    return false;
}

static bool bind_params(sqlite3_stmt *statement, const struct db_statement *from)
{
    for (size_t i = 0; i < from->param_count; i++) {
        const struct db_value *value = &from->params[i];
        int at = (int)i + 1, code = SQLITE_OK;
        if (value->type == DB_INTEGER)
            code = sqlite3_bind_int64(statement, at, value->integer);
        else if (value->type == DB_REAL)
            code = sqlite3_bind_double(statement, at, value->real);
        else if (value->type == DB_TEXT)
            code = sqlite3_bind_text64(statement, at, value->text, value->len, SQLITE_STATIC,
                                       SQLITE_UTF8);
        if (code != SQLITE_OK)
            return false;
    }
    return true;
}

static void drop_rows(struct db_result *result)
{
    for (size_t i = 0; i < result->row_count * result->column_count; i++)
        mem_free(result->cells[i].text);
    result->row_count = 0;
}

static void take_columns(sqlite3_stmt *statement, struct db_result *result)
{
    for (size_t i = 0; i < result->column_count; i++)
        mem_free(result->columns[i]);
    result->column_count = (size_t)sqlite3_column_count(statement);
    result->columns =
        mem_grow(result->columns, (result->column_count + 1) * sizeof *result->columns);
    for (size_t i = 0; i < result->column_count; i++)
        result->columns[i] = mem_text(sqlite3_column_name(statement, (int)i));
}

static void take_row(sqlite3_stmt *statement, struct db_result *result, size_t *room)
{
    size_t used = result->row_count * result->column_count;
    if (used + result->column_count > *room) {
        *room = (used + result->column_count) * 2;
        result->cells = mem_grow(result->cells, *room * sizeof *result->cells);
    }
    for (int i = 0; i < (int)result->column_count; i++) {
        struct db_value *cell = &result->cells[used + (size_t)i];
        *cell = (struct db_value){0};
        switch (sqlite3_column_type(statement, i)) {
        case SQLITE_INTEGER:
            cell->type = DB_INTEGER;
            cell->integer = sqlite3_column_int64(statement, i);
            break;
        case SQLITE_FLOAT:
            cell->type = DB_REAL;
            cell->real = sqlite3_column_double(statement, i);
            break;
        case SQLITE_NULL:
            break;
        default:
            cell->type = DB_TEXT;
            cell->len = (size_t)sqlite3_column_bytes(statement, i);
            cell->text = mem_textn(sqlite3_column_blob(statement, i), cell->len);
        }
    }
    result->row_count++;
}

static sqlite3_stmt *prepare(struct session *session, const char *sql)
{
    for (size_t i = 0; i < PREPARED_MAX; i++)
        if (session->prepared[i].sql && strcmp(session->prepared[i].sql, sql) == 0)
            return session->prepared[i].statement;
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v3(session->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) !=
        SQLITE_OK)
        return NULL;
    size_t place = session->next++ % PREPARED_MAX;
    sqlite3_finalize(session->prepared[place].statement);
    mem_free(session->prepared[place].sql);
    session->prepared[place].sql = mem_text(sql);
    session->prepared[place].statement = statement;
    return statement;
}

static void forget_prepared(struct session *session)
{
    for (size_t i = 0; i < PREPARED_MAX; i++) {
        sqlite3_finalize(session->prepared[i].statement);
        mem_free(session->prepared[i].sql);
    }
}

static bool run_one(struct session *session, const struct db_statement *from,
                    struct db_result *result)
{
    sqlite3 *handle = session->handle;
    const char *path = session->path;
    drop_rows(result);
    sqlite3_stmt *statement = prepare(session, from->sql);
    if (!statement)
        return fail(handle, path, &result->err);
    bool good = bind_params(statement, from);
    if (!good)
        fail(handle, path, &result->err);
    take_columns(statement, result);
    size_t room = 0;
    mem_free(result->cells);
    result->cells = NULL;
    for (int code = SQLITE_ROW; good && code == SQLITE_ROW;) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW && result->row_count == ROWS_MAX)
            good = err_set(&result->err, ERR_LIMIT, "more than %d rows", ROWS_MAX);
        else if (code == SQLITE_ROW)
            take_row(statement, result, &room);
        else if (code != SQLITE_DONE)
            good = fail(handle, path, &result->err);
    }
    result->changes = sqlite3_changes(handle);
    result->last_id = sqlite3_last_insert_rowid(handle);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return good;
}

static bool plain(sqlite3 *handle, const char *path, const char *sql, struct err *err)
{
    return sqlite3_exec(handle, sql, NULL, NULL, NULL) == SQLITE_OK || fail(handle, path, err);
}

/* Inside a batch a transaction of several statements is a savepoint of it. */
static void run_request(struct session *session, struct request *request, bool batched)
{
    sqlite3 *handle = session->handle;
    const char *path = session->path;
    struct db_result *result = &request->result;
    bool several = request->count > 1;
    bool good = !several || plain(handle, path, batched ? "SAVEPOINT several" : "BEGIN IMMEDIATE",
                                  &result->err);
    for (size_t i = 0; good && i < request->count; i++)
        good = run_one(session, &request->statements[i], result);
    if (good && several)
        good = plain(handle, path, batched ? "RELEASE several" : "COMMIT", &result->err);
    if (!good && several && batched)
        sqlite3_exec(handle, "ROLLBACK TO several; RELEASE several", NULL, NULL, NULL);
    else if (!good && several && !sqlite3_get_autocommit(handle))
        sqlite3_exec(handle, "ROLLBACK", NULL, NULL, NULL);
    if (!good)
        drop_rows(result);
}

/* What waits together is committed together: one synchronisation for all of it. Answers go out only after
   the commit. */
static void run_batch(struct session *session, struct request *first)
{
    sqlite3 *handle = session->handle;
    const char *path = session->path;
    struct err err;
    bool durable = false;
    for (struct request *each = first; each; each = each->next)
        durable |= each->durable;
    if (durable)
        sqlite3_exec(handle, "PRAGMA synchronous=FULL", NULL, NULL, NULL);
    bool batched = first->next && plain(handle, path, "BEGIN IMMEDIATE", &err);
    for (struct request *each = first; each; each = each->next)
        run_request(session, each, batched);
    bool good = !batched || plain(handle, path, "COMMIT", &err);
    if (!good)
        sqlite3_exec(handle, "ROLLBACK", NULL, NULL, NULL);
    if (durable)
        sqlite3_exec(handle, "PRAGMA synchronous=NORMAL", NULL, NULL, NULL);
    if (good)
        return;
    for (struct request *each = first; each; each = each->next) {
        drop_rows(&each->result);
        each->result.err = err;
    }
}

static sqlite3 *open_handle(const char *path, struct err *err)
{
    sqlite3 *handle = NULL;
    *err = (struct err){0};
    if (sqlite3_open_v2(path, &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) ==
        SQLITE_OK) {
        sqlite3_busy_timeout(handle, BUSY_MS);
        /* A checkpoint costs two synchronisations: not at every close (see on_commit, close_handle). */
        sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        if (plain(handle, path,
                  "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON", err))
            return handle;
    } else {
        fail(handle, path, err);
    }
    sqlite3_close(handle);
    return NULL;
}

static int on_commit(void *arg, sqlite3 *handle, const char *name, int pages)
{
    struct session *session = arg;
    session->log_pages = pages;
    if (pages >= LOG_PAGES)
        sqlite3_wal_checkpoint_v2(handle, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    return SQLITE_OK;
}

static void close_handle(struct session *session)
{
    forget_prepared(session);
    if (session->log_pages > LOG_PAGES_LEFT)
        sqlite3_wal_checkpoint_v2(session->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite3_close(session->handle);
}

static void *serve(void *arg)
{
    struct db *db = arg;
    struct err open_err;
    sqlite3 *handle = open_handle(db->path, &open_err);
    struct session session = {.handle = handle, .path = db->path};
    if (handle)
        sqlite3_wal_hook(handle, on_commit, &session);
    pthread_mutex_lock(&db->mutex);
    for (;;) {
        while (!db->asked.first && !db->closing)
            pthread_cond_wait(&db->more, &db->mutex);
        struct request *request = take_all(&db->asked);
        if (!request)
            break;
        pthread_mutex_unlock(&db->mutex);
        if (handle)
            run_batch(&session, request);
        for (struct request *each = request; !handle && each; each = each->next)
            each->result.err = open_err;
        pthread_mutex_lock(&db->mutex);
        for (struct request *next; request; request = next) {
            next = request->next;
            push(&db->answered, request);
        }
        bell_ring(db->bell);
    }
    pthread_mutex_unlock(&db->mutex);
    close_handle(&session);
    pthread_mutex_lock(&db->mutex);
    db->ended = true;
    bell_ring(db->bell);
    pthread_mutex_unlock(&db->mutex);
    return NULL;
}

/* --- the loop's side ---------------------------------------------------------------------------- */

static void on_bell(void *arg)
{
    struct db *db = arg;
    pthread_mutex_lock(&db->mutex);
    struct request *request = take_all(&db->answered);
    bool ended = db->ended;
    pthread_mutex_unlock(&db->mutex);
    for (struct request *next; request; request = next) {
        next = request->next;
        request->done(request->arg, &request->result);
        request_free(request);
    }
    if (!ended)
        return;
    if (!db->threadless)
        pthread_join(db->thread, NULL);
    db_closed *closed = db->closed;
    void *closed_arg = db->closed_arg;
    bell_free(db->bell);
    pthread_mutex_destroy(&db->mutex);
    pthread_cond_destroy(&db->more);
    mem_free(db->path);
    mem_free(db);
    closed(closed_arg);
}

struct db *db_open(struct loop *loop, const char *path)
{
    struct db *db = mem_alloc(sizeof *db);
    db->loop = loop;
    db->path = mem_text(path);
    pthread_mutex_init(&db->mutex, NULL);
    pthread_cond_init(&db->more, NULL);
    db->bell = bell_new(loop, on_bell, db);
    db->threadless = pthread_create(&db->thread, NULL, serve, db) != 0;
    return db;
}

static struct db_value copy_value(const struct db_value *from)
{
    struct db_value value = *from;
    if (value.type == DB_TEXT)
        value.text = mem_textn(from->text, from->len);
    else
        value.text = NULL;
    return value;
}

void db_start(struct db *db, const struct db_spec *spec, db_done *done, void *arg)
{
    struct request *request = mem_alloc(sizeof *request);
    request->done = done;
    request->arg = arg;
    request->count = spec->count;
    request->durable = spec->durable;
    request->statements = mem_alloc(spec->count * sizeof *request->statements);
    for (size_t i = 0; i < spec->count; i++) {
        const struct db_statement *from = &spec->statements[i];
        struct db_value *params = mem_alloc((from->param_count + 1) * sizeof *params);
        for (size_t k = 0; k < from->param_count; k++)
            params[k] = copy_value(&from->params[k]);
        request->statements[i] = (struct db_statement){
            .sql = mem_text(from->sql), .params = params, .param_count = from->param_count};
    }
    pthread_mutex_lock(&db->mutex);
    if (db->threadless) {
        err_set(&request->result.err, ERR_LIMIT, "database %s: no thread to be had", db->path);
        push(&db->answered, request);
        bell_ring(db->bell);
    } else {
        push(&db->asked, request);
        pthread_cond_signal(&db->more);
    }
    pthread_mutex_unlock(&db->mutex);
}

void db_close(struct db *db, db_closed *closed, void *arg)
{
    pthread_mutex_lock(&db->mutex);
    db->closed = closed;
    db->closed_arg = arg;
    db->closing = true;
    db->ended = db->threadless;
    pthread_cond_signal(&db->more);
    if (db->threadless)
        bell_ring(db->bell);
    pthread_mutex_unlock(&db->mutex);
}
