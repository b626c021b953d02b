/* gRPC's part of a call: which method it is for, its metadata, messages cut out of its data. */
#ifndef PRIM_SESSION_GRPC_H
#define PRIM_SESSION_GRPC_H

#include "prim/session_call.h"

/* The paths of all methods, ended by NULL. */
extern const char *const grpc_paths[];

void grpc_add_meta(struct session_call *call, const char *name, size_t name_len,
                   const char *value, size_t value_len);
void grpc_free_meta(struct session_call *call);
/* The head of the call is there. */
void grpc_open(struct session_call *call);
/* The call's data; false and err when the session cannot go on. */
bool grpc_take(struct session_call *call, const char *data, size_t len, struct err *err);
/* No more of it. */
void grpc_half(struct session_call *call);

#endif
