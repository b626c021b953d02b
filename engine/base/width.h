/* How many columns of a terminal a character takes. */
#ifndef BASE_WIDTH_H
#define BASE_WIDTH_H

#include <stdint.h>

/* 0 for what joins the character before it, 2 for East Asian wide ones and emoji, else 1. As
   terminals do: characters alone, not the sequences that some of them draw as one. */
int width_of(uint32_t rune);

#endif
