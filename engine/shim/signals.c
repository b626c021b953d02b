#include "shim/signals.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t asked_to_end;

static void on_child(int number)
{
    (void)number; /* only interrupts ppoll */
}

static void on_term(int number)
{
    asked_to_end = number;
}

void signals_hold(void)
{
    struct sigaction wake = {.sa_handler = on_child}, ignore = {.sa_handler = SIG_IGN},
                     stop = {.sa_handler = on_term};
    sigset_t held;
    sigemptyset(&held);
    sigaddset(&held, SIGCHLD);
    sigaddset(&held, SIGTERM);
    sigaction(SIGCHLD, &wake, NULL);
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
    sigprocmask(SIG_BLOCK, &held, NULL);
}

void signals_release(void)
{
    struct sigaction usual = {.sa_handler = SIG_DFL};
    sigset_t none;
    sigemptyset(&none);
    sigaction(SIGTERM, &usual, NULL);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

bool signals_asked_to_end(void)
{
    return asked_to_end != 0;
}
