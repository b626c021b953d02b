/* What may not stand in a request that is signed. For hash_sigv4.c only. */
#ifndef PRIM_HASH_SIGV4_CHECK_H
#define PRIM_HASH_SIGV4_CHECK_H

#include "prim/hash_sigv4.h"

#define SIGV4_TOKEN_HEADER "x-amz-security-token"

/* false and err (usage) for one that would begin another line, or that the signer sets itself. */
bool sigv4_check_header(const struct sigv4_header *header, struct err *err);
/* All texts of the spec but the URL and the headers. */
bool sigv4_check_fields(const struct sigv4_spec *spec, struct err *err);

#endif
