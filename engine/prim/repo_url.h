/* Where a repository is, as a person writes it. */
#ifndef PRIM_REPO_URL_H
#define PRIM_REPO_URL_H

#include "base/err.h"

enum url_kind { URL_PATH, URL_HTTP, URL_SSH };

struct url {
    enum url_kind kind;
    char *clean;    /* without credentials: what is shown, fetched from and kept as origin */
    char *host;     /* NULL for a path */
    char *port;     /* NULL when it is the usual one */
    char *user, *password; /* as written in it, decoded; NULL when absent */
    char *path;     /* as the remote side gets it; a local path as it is, absolute */
};

/* "https://…", "http://…", "ssh://…", "file:///…", "user@host:path", "/path"; ERR_USAGE for the
   rest. */
bool url_parse(struct url *url, const char *text, struct err *err);
/* Do scheme, host and port agree? What one server may see, another may not. */
bool url_same_server(const struct url *a, const struct url *b);
void url_fini(struct url *url);

#endif
