/* The forms in which programs print a value: escaped for a URL, for JSON or by a shell, or in
   base64 or hexadecimal digits. */
#ifndef BASE_MASK_FORM_H
#define BASE_MASK_FORM_H

#include <stdbool.h>
#include <stddef.h>

/* In each form a text is read in one way only: where an escape may stand, the bare character may
   not. */
enum mask_form {
    MASK_PLAIN,     /* each byte as it is */
    MASK_URL,       /* %2F, %2f, '+' for a blank; which characters are escaped differs by program */
    MASK_BACKSLASH, /* JSON's \n, \/ and \u002f, a shell's \$, \x0a */
    MASK_QUOTED,    /* a single quote inside single quotes: '\'' or '"'"' */
};

enum { MASK_SPELLINGS_MAX = 8 };

struct mask_spelling {
    char text[15];
    unsigned char len;
    size_t of; /* so many bytes of the value are spelled */
};

/* How the form may spell what the value begins with; no spelling is the beginning of another
   one. */
size_t mask_form_spell(enum mask_form form, const char *value, size_t len,
                       struct mask_spelling out[MASK_SPELLINGS_MAX]);
/* Is there a way to spell the value that is not the value itself? */
bool mask_form_differs(enum mask_form form, const char *value, size_t len);

typedef void mask_form_call(void *arg, const char *text, size_t len);
/* Calls with what tells of the value in the base64 of any text that holds it: both alphabets, the
   three places in a group, as far as the characters depend on the value alone, and as the end of
   the text with its padding. Nothing shorter than 8 characters. The text is wiped after the
   call. */
void mask_form_base64(const char *value, size_t len, mask_form_call *call, void *arg);
/* Calls with the value in hexadecimal digits, small and large. The text is wiped after the call. */
void mask_form_hex(const char *value, size_t len, mask_form_call *call, void *arg);

#endif
