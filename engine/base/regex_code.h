/* What base/regex_parse.c makes and base/regex.c runs; of no concern to others. */
#ifndef BASE_REGEX_CODE_H
#define BASE_REGEX_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum op {
    FORK,     /* begins an alternative; the next one is at 'from', 0 = none */
    SET,      /* one character of ranges */
    MAYBE,    /* goes on here, or 3 instructions later */
    AT_BEGIN,
    AT_END,
    AT_WORD,  /* "\b" */
    NO_WORD,  /* "\B" */
    MATCHED,  /* if the text is over */
};

struct range {
    uint32_t low, high;
};

struct instruction {
    enum op op;
    bool again, spare; /* may be repeated, left out */
    bool negated;
    size_t from, count; /* of ranges */
};

struct code {
    struct instruction *list;
    size_t len;
    struct range *ranges;
    size_t range_count;
};

/* Alternatives, each from FORK to MATCHED. False when Go refuses the text; code_fini then, too. */
bool code_parse(struct code *code, const char *text);
void code_fini(struct code *code);

#endif
