/* A C test: a function that checks, and goes on when a check fails. */
#ifndef TESTS_TEST_H
#define TESTS_TEST_H

#include <stdbool.h>

/* Begins the next test; its name tells what is to hold. */
void test_it(const char *name);
/* A test with a check that does not hold has failed. */
#define CHECK(good) test_check((good), #good, __FILE__, __LINE__)
void test_check(bool good, const char *what, const char *file, int line);
/* A directory that is empty and writable, for the whole run. */
const char *test_dir(void);

void test_buf(void);
void test_err(void);
void test_file(void);
void test_glob(void);
void test_path(void);
void test_pool(void);

#endif
