/* A BuildKit session: over one connection the daemon, as the client of an HTTP/2 server that stands
   here, asks for a build's files, secrets, credentials and ssh agents, and sends what was built. */
#ifndef PRIM_SESSION_H
#define PRIM_SESSION_H

#include <stddef.h>
#include <stdint.h>

#include "prim/http_stream.h"

/* Something that the daemon may ask for by its name. */
struct session_gift {
    const char *name;
    const char *value;
    size_t len;
    const char *more; /* a credential's password */
    size_t more_len;
};

struct session_gifts {
    const struct session_gift *list;
    size_t count;
};

struct session_spec {
    struct http_stream_spec place; /* where the daemon is */
    const char *api;       /* "1.41" */
    const char *shared_key; /* the same for each build of one context: then only changes are sent */
    struct session_gifts dirs;        /* name -> path */
    struct session_gifts secrets;     /* id -> bytes */
    struct session_gifts credentials; /* host as the daemon asks -> user, password */
    struct session_gifts ssh;         /* id -> path of an agent's socket */
    const char *dockerfile_text; /* the file "Dockerfile" of dir "dockerfile"; NULL = none */
    size_t dockerfile_len;
    const char *output;  /* what the build exports is written to this file; NULL = refused */
    uint64_t timeout_ms; /* until the daemon has agreed */
    uint64_t silence_ms; /* without a byte from the daemon, which asks for our health every
                            few seconds; 0 = for ever */
    void (*opened)(void *arg); /* from the loop: the session stands, a build may name it */
};

struct session_stats {
    unsigned long long calls, entries, files, bytes; /* files: whose content was asked for */
    unsigned long long secrets, logins, agents;
    unsigned long long output; /* bytes written to the output file */
};

struct session_result {
    struct err err; /* ERR_NONE: ended as asked, and nothing had failed before */
    bool stood;     /* opened was called */
    struct session_stats stats;
};
typedef void session_done(void *arg, const struct session_result *result);

struct session;

/* ERR_MISSING or ERR_IO for a directory that cannot be opened, before anything is started. */
struct session *session_start(struct loop *loop, const struct session_spec *spec,
                              session_done *done, void *arg, struct err *err);
/* Closes the connection, which stops a build that still needs it. done comes when the threads that
   read files have ended: with ERR_CANCELLED if the session did not stand yet. */
void session_end(struct session *session);
/* What a build names it by: 32 hexadecimal digits. */
const char *session_id(const struct session *session);
/* What went wrong so far, ERR_NONE if nothing did. */
const struct err *session_failure(const struct session *session);
const struct session_stats *session_stats(const struct session *session);

#endif
