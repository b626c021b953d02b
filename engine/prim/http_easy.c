#include "prim/http_easy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* libcurl itself would let children inherit its sockets. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)arg, (void)purpose;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static bool check_file(const char *path, const char *option, struct err *err)
{
    return !path || access(path, R_OK) == 0 ||
           err_system(err, errno, "cannot read the %s %s", option, path);
}

static bool check(const struct http_peer *peer, struct err *err)
{
    if (peer->unix_path && strlen(peer->unix_path) >= sizeof ((struct sockaddr_un *)0)->sun_path)
        return err_set(err, ERR_USAGE, "the socket path %s is longer than the system allows (%zu)",
                       peer->unix_path, sizeof ((struct sockaddr_un *)0)->sun_path - 1);
    return check_file(peer->ca_file, "ca_file", err) &&
           check_file(peer->cert_file, "cert_file", err) &&
           check_file(peer->key_file, "key_file", err);
}

CURL *http_easy_new(const struct http_peer *peer, struct err *err)
{
    if (!check(peer, err))
        return NULL;
    CURL *easy = curl_easy_init();
    if (!easy) {
        err_set(err, ERR_FAILED, "libcurl has no memory");
        return NULL;
    }
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700 /* else removing a handle waits for a DNS answer */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    curl_easy_setopt(easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "orch/" ORCH_VERSION);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)peer->connect_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, peer->unix_path);
    if (peer->ca_file) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, peer->ca_file);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    curl_easy_setopt(easy, CURLOPT_SSLCERT, peer->cert_file);
    curl_easy_setopt(easy, CURLOPT_SSLKEY, peer->key_file);
    return easy;
}

void http_easy_aim(CURL *easy, const struct http_url *url, const char *text, bool is_unix)
{
    curl_easy_setopt(easy, CURLOPT_URL, text);
    /* "" means none whatever the environment says; NULL lets the environment speak */
    curl_easy_setopt(easy, CURLOPT_PROXY, is_unix || url->loopback ? "" : NULL);
}

const char *http_easy_where(const struct http_url *url, const struct http_peer *peer, char *text,
                            size_t size)
{
    if (peer->unix_path)
        snprintf(text, size, "%s", peer->unix_path);
    else
        snprintf(text, size, "%s:%s", url->host, url->port);
    return text;
}

struct place {
    const char *where, *host;
    bool is_unix;
};

/* libcurl does not say that it got none. */
static bool no_descriptor_left(void)
{
    const int fd = open("/", O_PATH | O_CLOEXEC);
    if (fd >= 0)
        close(fd);
    return fd < 0;
}

/* libcurl keeps a transfer's first words, which may be of a kept connection that had died. */
static void connect_fault(CURL *easy, const struct place *place, const char *detail,
                          struct err *err)
{
    const char *where = place->where;
    long number = 0;
    curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &number);
    if (no_descriptor_left())
        err_set(err, ERR_LIMIT, "cannot connect to %s: too many files are open; raise `ulimit -n`",
                where);
    else if (place->is_unix && number == ENOENT)
        err_set(err, ERR_MISSING, "there is no socket %s: is its daemon running?", where);
    else if (place->is_unix && (number == EACCES || number == EPERM))
        err_set(err, ERR_IO, "no permission to use the socket %s: is this user in its group?",
                where);
    else if (place->is_unix)
        err_set(err, ERR_NET, "cannot connect to the socket %s: %s; is its daemon running?", where,
                strerror((int)number));
    else if (strstr(detail, "connect to ") && !strstr(detail, place->host))
        err_set(err, ERR_NET, "cannot connect to the proxy for %s: %s; see http_proxy, https_proxy",
                where, detail);
    else
        err_set(err, ERR_NET, "cannot connect to %s: %s; is a server running there?", where,
                number ? strerror((int)number) : "no address answered");
}

static void receive_fault(CURL *easy, const char *where, const char *detail, struct err *err)
{
    long number = 0;
    curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &number);
    if (strstr(detail, "SSL_read")) /* an alert, or an end without one */
        err_set(err, ERR_NET, "TLS with %s broke: %s", where, detail);
    else if (number) /* the system's word; without one it is the answer that is wrong */
        err_set(err, ERR_NET, "the connection to %s broke: %s", where, strerror((int)number));
    else
        err_set(err, ERR_REMOTE, "%s sent a broken answer: %s", where, detail);
}

static void fill(CURL *easy, CURLcode code, const struct place *place, const char *detail,
                 struct err *err)
{
    const char *where = place->where;
    switch (code) {
    case CURLE_URL_MALFORMAT:
        err_set(err, ERR_USAGE, "the URL is malformed: %s", detail);
        return;
    case CURLE_COULDNT_RESOLVE_HOST:
        err_set(err, ERR_NET, "cannot find the address of %s: is the name right, the network up?",
                place->host);
        return;
    case CURLE_COULDNT_RESOLVE_PROXY:
        err_set(err, ERR_NET, "cannot find the proxy's address: %s; see http_proxy, https_proxy",
                detail);
        return;
    case CURLE_COULDNT_CONNECT:
        connect_fault(easy, place, detail, err);
        return;
    case CURLE_OPERATION_TIMEDOUT:
        err_set(err, ERR_TIMEOUT, "connecting to %s took too long", where);
        return;
    case CURLE_PEER_FAILED_VERIFICATION:
        err_set(err, ERR_NET,
                "the certificate of %s is not accepted: %s; if it is right, name its authority's "
                "file with ca_file",
                where, detail);
        return;
    case CURLE_SSL_CONNECT_ERROR:
        err_set(err, ERR_NET, "no TLS with %s: %s", where, detail);
        return;
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
        err_set(err, ERR_USAGE, "cannot use the certificate files for %s: %s", where, detail);
        return;
    case CURLE_GOT_NOTHING:
        err_set(err, ERR_NET, "%s closed the connection without an answer", where);
        return;
    case CURLE_SEND_ERROR:
    case CURLE_SEND_FAIL_REWIND:
        err_set(err, ERR_NET, "%s closed the connection before it had the whole request: %s",
                where, detail);
        return;
    case CURLE_RECV_ERROR:
        receive_fault(easy, where, detail, err);
        return;
    case CURLE_PARTIAL_FILE:
        err_set(err, ERR_REMOTE, "the answer of %s ended early: %s", where, detail);
        return;
    case CURLE_UNSUPPORTED_PROTOCOL: /* what libcurl says of an answer without a status line */
    case CURLE_WEIRD_SERVER_REPLY:
        err_set(err, ERR_REMOTE, "%s sent no valid answer: %s", where, detail);
        return;
    case CURLE_OUT_OF_MEMORY: /* what libcurl says of a line past its ceiling, too */
        err_set(err, ERR_REMOTE, "%s sent no valid answer: a line of its head is too long", where);
        return;
    case CURLE_BAD_CONTENT_ENCODING:
        err_set(err, ERR_REMOTE, "%s sent a broken answer: %s", where, detail);
        return;
    default:
        err_set(err, ERR_NET, "the request to %s failed: %s", where, detail);
    }
}

void http_easy_fault(CURL *easy, CURLcode code, const struct http_url *url,
                     const struct http_peer *peer, const char *detail, struct err *err)
{
    char where[256], host[256];
    snprintf(host, sizeof host, "%s", url->host[0] == '[' ? url->host + 1 : url->host);
    host[strcspn(host, "]")] = '\0';
    const struct place place = {.where = http_easy_where(url, peer, where, sizeof where),
                                .host = host,
                                .is_unix = peer->unix_path != NULL};
    fill(easy, code, &place, detail[0] ? detail : curl_easy_strerror(code), err);
    err->code = (int)code;
}
