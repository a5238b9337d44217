/* A team of threads that run the same loop and meet at the end of each part of it.
 *
 * The threads are Python's own, started for one call and gone after it, so that nothing is
 * left that a fork could break.  They wait by spinning: a part lasts microseconds. */
#ifndef FASTNN_TEAM_H
#define FASTNN_TEAM_H

#if defined(_WIN32)
#include <windows.h>
#define yield_processor() SwitchToThread()
#else
#include <sched.h>
#define yield_processor() sched_yield()
#endif

typedef struct {
    int size;     /* threads, the caller included; known when `open` is set */
    int open;
    int arrived;  /* at the present meeting */
    int meeting;  /* number of the present meeting */
    int finished; /* helpers that touch nothing any more */
} team;

static inline void wait_until(const int *flag, int value)
{
    for (int turn = 0; __atomic_load_n(flag, __ATOMIC_ACQUIRE) != value; turn++) {
        if (turn > 1000)
            yield_processor(); /* somebody else may need this core to arrive */
#if defined(__x86_64__) || defined(__i386__)
        else
            __builtin_ia32_pause();
#endif
    }
}

/* Wait for all; what each wrote before is then seen by all. */
static inline void team_meet(team *t)
{
    int meeting = t->meeting;
    if (t->size == 1)
        return;
    if (__atomic_add_fetch(&t->arrived, 1, __ATOMIC_ACQ_REL) == t->size) {
        t->arrived = 0;
        __atomic_store_n(&t->meeting, meeting + 1, __ATOMIC_RELEASE);
    } else {
        wait_until(&t->meeting, meeting + 1);
    }
}

static inline void team_open(team *t, int size)
{
    t->size = size;
    __atomic_store_n(&t->open, 1, __ATOMIC_RELEASE);
}

static inline void team_join(team *t) { wait_until(&t->open, 1); }
static inline void team_leave(team *t) { __atomic_add_fetch(&t->finished, 1, __ATOMIC_ACQ_REL); }
static inline void team_close(team *t) { wait_until(&t->finished, t->size - 1); }

#endif
