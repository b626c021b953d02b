#include "prim/db_connection.h"

#include <pthread.h>
#include <string.h>

#include <sqlite3.h>

#include "base/mem.h"

enum {
    ROWS_MAX = 100000,
    BUSY_MS = 10000,
    AGAIN_MS = 10,
    PREPARED_MAX = 32,
    /* of SQLite's machine between two looks at whether the rows are still wanted */
    LOOK_STEPS = 10000,
    LOG_PAGES = 1000,     /* of write-ahead log after which it is written back while at work */
    /* that may stay when the database is closed: the next one reads them all */
    LOG_PAGES_LEFT = 100,
};

/* The handle with the statements that it has prepared, each kept for its next use. */
struct connection {
    sqlite3 *handle;      /* NULL: why not is in open_err */
    struct err open_err;
    const char *path;
    struct {
        char *sql;
        sqlite3_stmt *statement;
    } prepared[PREPARED_MAX];
    const atomic_bool *unwanted; /* of the request whose statement is running, if it only reads */
    size_t next; /* the place that is given up when all are taken */
    int log_pages;
};

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
    case SQLITE_INTERRUPT:
        return err_set(err, ERR_CANCELLED, "reading database %s was cancelled", path);
    case SQLITE_ERROR:
    case SQLITE_RANGE:
    case SQLITE_MISUSE:
        kind = ERR_USAGE;
        break;
    default:
        kind = ERR_IO;
    }
    const bool of_system = (code & 0xff) == SQLITE_CANTOPEN || (code & 0xff) == SQLITE_IOERR;
    const int number = handle && of_system ? sqlite3_system_errno(handle) : 0;
    err_set(err, kind, "database %s: %s%s%s", path,
            handle ? sqlite3_errmsg(handle) : "out of memory", number ? ": " : "",
            number ? strerror(number) : "");
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

static sqlite3_stmt *prepare(struct connection *connection, const char *sql)
{
    for (size_t i = 0; i < PREPARED_MAX; i++)
        if (connection->prepared[i].sql && strcmp(connection->prepared[i].sql, sql) == 0)
            return connection->prepared[i].statement;
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v3(connection->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement,
        NULL) !=
        SQLITE_OK)
        return NULL;
    size_t place = connection->next++ % PREPARED_MAX;
    sqlite3_finalize(connection->prepared[place].statement);
    mem_free(connection->prepared[place].sql);
    connection->prepared[place].sql = mem_text(sql);
    connection->prepared[place].statement = statement;
    return statement;
}

static void forget_prepared(struct connection *connection)
{
    for (size_t i = 0; i < PREPARED_MAX; i++) {
        sqlite3_finalize(connection->prepared[i].statement);
        mem_free(connection->prepared[i].sql);
    }
}

static int on_progress(void *arg)
{
    const struct connection *connection = arg;
    return connection->unwanted && atomic_load(connection->unwanted);
}

static bool run_one(struct connection *connection, const struct db_statement *from,
                    struct request *request)
{
    struct db_result *result = &request->result;
    sqlite3 *handle = connection->handle;
    const char *path = connection->path;
    drop_rows(result);
    sqlite3_stmt *statement = prepare(connection, from->sql);
    if (!statement)
        return fail(handle, path, &result->err);
    bool good = bind_params(statement, from);
    if (!good)
        fail(handle, path, &result->err);
    take_columns(statement, result);
    size_t room = 0;
    connection->unwanted = sqlite3_stmt_readonly(statement) ? &request->unwanted : NULL;
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
    connection->unwanted = NULL;
    return good;
}

static bool plain(struct connection *connection, const char *sql, struct err *err)
{
    sqlite3_stmt *statement = prepare(connection, sql);
    const bool good = statement && sqlite3_step(statement) == SQLITE_DONE;
    if (!good)
        fail(connection->handle, connection->path, err);
    sqlite3_reset(statement);
    return good;
}

/* Inside a batch a transaction of several statements is a savepoint of it. */
static void run_request(struct connection *connection, struct request *request,
                        bool batched)
{
    sqlite3 *handle = connection->handle;
    struct db_result *result = &request->result;
    bool several = request->count > 1;
    bool good = !several || plain(connection, batched ? "SAVEPOINT several" : "BEGIN IMMEDIATE",
                                  &result->err);
    for (size_t i = 0; good && i < request->count; i++)
        good = run_one(connection, &request->statements[i], request);
    if (good && several)
        good = plain(connection, batched ? "RELEASE several" : "COMMIT", &result->err);
    if (!good && several && batched)
        sqlite3_exec(handle, "ROLLBACK TO several; RELEASE several", NULL, NULL, NULL);
    else if (!good && several && !sqlite3_get_autocommit(handle))
        sqlite3_exec(handle, "ROLLBACK", NULL, NULL, NULL);
    if (!good)
        drop_rows(result);
}

static void run_batch(struct connection *connection, struct request *first)
{
    sqlite3 *handle = connection->handle;
    struct err err;
    bool durable = false;
    for (struct request *each = first; each; each = each->next)
        durable |= each->durable;
    if (durable)
        sqlite3_exec(handle, "PRAGMA synchronous=FULL", NULL, NULL, NULL);
    bool batched = first->next && plain(connection, "BEGIN IMMEDIATE", &err);
    bool good = true;
    for (struct request *each = first; each && good; each = each->next) {
        run_request(connection, each, batched);
        /* a full disk ends the transaction: https://sqlite.org/lang_transaction.html, 3.1 */
        good = !batched || !sqlite3_get_autocommit(handle);
        if (!good)
            err = each->result.err;
    }
    good = good && (!batched || plain(connection, "COMMIT", &err));
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

/* Once, before the first: SQLite counts no bytes, and takes the room for each page when it needs
   it. */
static void configure(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0);
}

/* Who changes the journal's mode while another holds the database is refused at once: SQLite does
   not wait there, since both might (sqlite3_busy_handler). */
static bool set_up(sqlite3 *handle)
{
    static const char pragmas[] =
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON";
    int code = sqlite3_exec(handle, pragmas, NULL, NULL, NULL);
    for (int ms = 0; code == SQLITE_BUSY && ms < BUSY_MS; ms += AGAIN_MS) {
        sqlite3_sleep(AGAIN_MS);
        code = sqlite3_exec(handle, pragmas, NULL, NULL, NULL);
    }
    return code == SQLITE_OK;
}

static sqlite3 *open_handle(const char *path, struct err *err)
{
    sqlite3 *handle = NULL;
    *err = (struct err){0};
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, configure);
    /* a connection is its thread's alone */
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path, &handle, flags, NULL) == SQLITE_OK) {
        sqlite3_busy_timeout(handle, BUSY_MS);
        /* A checkpoint costs two synchronisations: not at every close (see on_commit,
           connection_close). */
        sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        if (set_up(handle))
            return handle;
    }
    fail(handle, path, err);
    sqlite3_close(handle);
    return NULL;
}

static int on_commit(void *arg, sqlite3 *handle, const char *name, int pages)
{
    struct connection *connection = arg;
    connection->log_pages = pages;
    if (pages >= LOG_PAGES)
        sqlite3_wal_checkpoint_v2(handle, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    return SQLITE_OK;
}

void request_free(struct request *request)
{
    struct db_result *result = &request->result;
    for (size_t i = 0; i < result->column_count; i++)
        mem_free(result->columns[i]);
    for (size_t i = 0; i < result->row_count * result->column_count; i++)
        mem_free(result->cells[i].text);
    mem_free(result->columns);
    mem_free(result->cells);
    mem_free(request);
}

struct connection *connection_open(const char *path)
{
    struct connection *connection = mem_alloc(sizeof *connection);
    connection->path = path;
    connection->handle = open_handle(path, &connection->open_err);
    if (connection->handle) {
        sqlite3_wal_hook(connection->handle, on_commit, connection);
        sqlite3_progress_handler(connection->handle, LOOK_STEPS, on_progress, connection);
    }
    return connection;
}

void connection_run(struct connection *connection, struct request *first)
{
    if (connection->handle)
        run_batch(connection, first);
    else
        for (struct request *each = first; each; each = each->next)
            each->result.err = connection->open_err;
}

void connection_close(struct connection *connection)
{
    forget_prepared(connection);
    if (connection->log_pages > LOG_PAGES_LEFT)
        sqlite3_wal_checkpoint_v2(connection->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite3_close(connection->handle);
    mem_free(connection);
}
