// Preloaded into a server before libfaketime, keeps signals out while it reads the
// clock. libfaketime opens a file at each reading, and allocates memory for that; a
// handler that reads the clock too, such as PostgreSQL's of SIGALRM, would find the
// heap and the list of open files half changed: the session dies of what glibc then
// finds, or waits for itself for ever.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>

// Calls the next library's function of this name with all signals held back, and
// returns what it returns.
#define GUARDED(result, name, parameters, arguments)                                               \
    result name parameters                                                                         \
    {                                                                                              \
        static result(*next) parameters;                                                           \
        sigset_t all, before;                                                                      \
        sigfillset(&all);                                                                          \
        sigprocmask(SIG_SETMASK, &all, &before);                                                   \
        if (!next)                                                                                 \
            *(void **)&next = dlsym(RTLD_NEXT, #name);                                             \
        const result returned = next arguments;                                                    \
        sigprocmask(SIG_SETMASK, &before, NULL);                                                   \
        return returned;                                                                           \
    }

GUARDED(int, clock_gettime, (clockid_t clock, struct timespec *now), (clock, now))
GUARDED(int, gettimeofday, (struct timeval *restrict now, void *restrict zone), (now, zone))
GUARDED(time_t, time, (time_t * now), (now))
