#include "prim/db.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"
#include "prim/db_connection.h"

/* Statements that are kept back, to be handed over together: so many, for so long. */
enum { LATER_MAX = 64, LATER_MS = 20 };

struct queue {
    struct request *first, *last;
};

struct db {
    struct loop *loop;
    char *path;
    struct bell *bell;
    pthread_t thread;
    bool threadless; /* no thread was to be had: every statement fails */
    struct queue later; /* the loop's, not yet handed over */
    size_t later_count;
    struct timer *timer; /* for them, once there are any; NULL: none runs */
    uint64_t asked_count, urgent; /* urgent: the number of the last one that was not for later */
    atomic_ullong done_count;     /* the thread's: all up to this number are done */
    atomic_bool failed;           /* one of the quiet ones */
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

static void push_all(struct queue *queue, struct queue *from)
{
    if (!from->first)
        return;
    if (queue->last)
        queue->last->next = from->first;
    else
        queue->first = from->first;
    queue->last = from->last;
    *from = (struct queue){0};
}

static struct request *take_all(struct queue *queue)
{
    struct request *first = queue->first;
    *queue = (struct queue){0};
    return first;
}

/* --- the thread ------------------------------------------------------------------------------- */

/* What the loop must hear of. */
static struct queue sort_out(struct db *db, struct request *request)
{
    struct queue answers = {0};
    uint64_t number = 0;
    for (struct request *next; request; request = next) {
        next = request->next;
        number = request->number;
        const bool failed = request->result.err.kind != ERR_NONE;
        if (request->quiet && failed)
            atomic_store(&db->failed, true);
        if (request->quiet && !failed)
            request_free(request);
        else
            push(&answers, request);
    }
    atomic_store(&db->done_count, number); /* after what has failed is known */
    return answers;
}

static void *serve(void *arg)
{
    struct db *db = arg;
    struct connection *connection = connection_open(db->path);
    pthread_mutex_lock(&db->mutex);
    for (;;) {
        while (!db->asked.first && !db->closing)
            pthread_cond_wait(&db->more, &db->mutex);
        struct request *request = take_all(&db->asked);
        if (!request)
            break;
        pthread_mutex_unlock(&db->mutex);
        connection_run(connection, request);
        struct queue answers = sort_out(db, request);
        const bool any = answers.first != NULL;
        pthread_mutex_lock(&db->mutex);
        push_all(&db->answered, &answers);
        if (!any)
            continue;
        pthread_mutex_unlock(&db->mutex); /* who is woken can have it */
        bell_ring(db->bell);
        pthread_mutex_lock(&db->mutex);
    }
    pthread_mutex_unlock(&db->mutex);
    connection_close(connection);
    pthread_mutex_lock(&db->mutex);
    db->ended = true;
    bell_ring(db->bell);
    pthread_mutex_unlock(&db->mutex);
    return NULL;
}

/* --- the loop's side -------------------------------------------------------------------------- */

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

static void hand_over(struct db *db)
{
    if (!db->later.first)
        return;
    pthread_mutex_lock(&db->mutex);
    push_all(&db->asked, &db->later);
    pthread_mutex_unlock(&db->mutex);
    pthread_cond_signal(&db->more);
    db->later_count = 0;
}

static void on_time(void *arg)
{
    struct db *db = arg;
    db->timer = NULL;
    hand_over(db);
}

/* A timer that others were handed over before goes on: it is as good for those that follow. */
static void keep_back(struct db *db)
{
    if (!db->timer)
        db->timer = timer_start(db->loop, LATER_MS, on_time, db);
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

/* Bytes of a request with all that it points to. */
static size_t size_of(const struct db_spec *spec)
{
    size_t size = sizeof(struct request) + spec->count * sizeof(struct db_statement);
    for (size_t i = 0; i < spec->count; i++) {
        const struct db_statement *from = &spec->statements[i];
        size += strlen(from->sql) + 1 + from->param_count * sizeof *from->params;
        for (size_t k = 0; k < from->param_count; k++)
            size += from->params[k].type == DB_TEXT ? from->params[k].len + 1 : 0;
    }
    return size;
}

static char *copy_text(char **room, const char *text, size_t len)
{
    char *copy = memcpy(*room, text, len);
    copy[len] = '\0';
    *room += len + 1;
    return copy;
}

/* One block, since it is made here and freed by the thread: statements, their values, the texts. */
static struct request *new_request(const struct db_spec *spec)
{
    struct request *request = mem_alloc(size_of(spec));
    request->count = spec->count;
    request->durable = spec->durable;
    request->quiet = spec->quiet;
    request->statements = (struct db_statement *)(request + 1);
    struct db_value *values = (struct db_value *)(request->statements + spec->count);
    char *room = (char *)values;
    for (size_t i = 0; i < spec->count; i++)
        room += spec->statements[i].param_count * sizeof *values;
    for (size_t i = 0; i < spec->count; i++) {
        const struct db_statement *from = &spec->statements[i];
        request->statements[i] = (struct db_statement){
            .sql = copy_text(&room, from->sql, strlen(from->sql)),
            .params = values, .param_count = from->param_count};
        for (size_t k = 0; k < from->param_count; k++, values++) {
            *values = from->params[k];
            if (values->type == DB_TEXT)
                values->text = copy_text(&room, values->text, values->len);
        }
    }
    return request;
}

struct request *db_start(struct db *db, const struct db_spec *spec, db_done *done, void *arg)
{
    struct request *request = new_request(spec);
    request->done = done;
    request->arg = arg;
    request->number = ++db->asked_count;
    if (db->threadless) {
        err_set(&request->result.err, ERR_LIMIT, "database %s: no thread to be had", db->path);
        atomic_store(&db->failed, true);
        push(&db->answered, request);
        bell_ring(db->bell);
        return request;
    }
    push(&db->later, request);
    if (!spec->later)
        db->urgent = request->number;
    if (!spec->later || ++db->later_count == LATER_MAX)
        hand_over(db);
    else
        keep_back(db);
    return request;
}

void db_cancel(struct request *request)
{
    atomic_store(&request->unwanted, true);
}

bool db_settled(const struct db *db)
{
    return atomic_load(&db->done_count) >= db->urgent && !atomic_load(&db->failed);
}

void db_close(struct db *db, db_closed *closed, void *arg)
{
    hand_over(db);
    timer_cancel(db->timer);
    pthread_mutex_lock(&db->mutex);
    db->closed = closed;
    db->closed_arg = arg;
    db->closing = true;
    db->ended = db->threadless;
    pthread_mutex_unlock(&db->mutex);
    pthread_cond_signal(&db->more);
    if (db->threadless)
        bell_ring(db->bell);
}
