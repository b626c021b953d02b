/* What orch and the keepers of its programs (engine/shim) say to each other: one message of a
   SOCK_SEQPACKET pair each. Both are of one build. */
#ifndef BASE_ORDER_H
#define BASE_ORDER_H

#include <stdint.h>

enum order_kind {
    /* to the nursery: a new keeper named number, which listens to the descriptor that comes
       along */
    ORDER_KEEPER,
    ORDER_KILL,   /* to the nursery: that keeper answers no more */
    /* to the nursery: that keeper is about to be asked for an end, and may have been stopped */
    ORDER_WAKE,
    ORDER_RUN,    /* a program: descriptors and body come along; number: the grace in ms */
    ORDER_SIGNAL, /* the signal number for the program's group */
    ORDER_END,    /* the end of the whole tree: TERM, after the grace KILL */
    ORDER_TELL,   /* asks for REPORT_BORN */
};

/* Descriptors of ORDER_RUN, in this order: working directory, output, then these where they are
   given. */
enum { ORDER_HAS_ERR = 1, ORDER_HAS_IN = 2, ORDER_HAS_BODY = 4 };

enum {
    /* in the message itself; a longer one is in a file in memory, HAS_BODY */
    ORDER_BODY_MAX = 32 << 10,
    ORDER_FILES = 5,
};

struct order {
    uint32_t kind, number;
    uint32_t has;
    uint32_t argc, envc;
    uint32_t len; /* of the body: path, arguments, environment, each ended by a NUL */
};

enum report_kind {
    REPORT_BORN,   /* value: the program's process id */
    REPORT_EXIT,   /* value: its code */
    REPORT_SIGNAL, /* value: the signal that ended it */
    REPORT_CWD,    /* it never ran: value is why it could not enter the directory */
    REPORT_EXEC,   /* likewise: be executed */
    REPORT_FORK,   /* likewise: no process was to be had */
    /* likewise: nobody took the order. Not sent, but said of a keeper that was killed */
    REPORT_LOST,
    REPORT_OVER,   /* nothing of its tree is left */
};

struct report {
    uint32_t kind;
    int32_t value;
    int64_t user_us, system_us, max_rss_kib;
    uint32_t over; /* this is the last one of the program, as REPORT_OVER is */
};

#endif
