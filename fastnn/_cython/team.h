/* A team of threads that run the same loop and meet at the end of each part of it.
 *
 * The threads are Python's own, started for one call and gone after it, so that nothing is
 * left that a fork could break.  They wait by spinning: a part lasts microseconds.  A helper
 * that gets no processor would hold up the others, so one that comes late is not let in, and
 * a team that mostly waits is dissolved: the caller goes on alone. */
#ifndef FASTNN_TEAM_H
#define FASTNN_TEAM_H

#if defined(_WIN32)
#include <windows.h>
#define yield_processor() SwitchToThread()
#else
#include <sched.h>
#define yield_processor() sched_yield()
#endif

enum { CLOSED = 1 << 20, SPINS = 1000 };

#define ENROLMENT_SECONDS 1e-4
#define WINDOW_SECONDS 2e-2  /* the waiting in so much time decides; at first, in any time */
#define WAITED_SECONDS 3e-4  /* less than this is nothing */
#define WAITED_SHARE 0.4     /* at one half, two threads are no faster than one */

typedef struct {
    int enrolled;  /* helpers that came; + CLOSED: no more are let in */
    int size;      /* threads, the caller included; known when `open` is set */
    int members;   /* helpers that were let in, where this is known before the end */
    int open;
    int claimed;   /* pieces of work that have been taken */
    int arrived;   /* at the present meeting */
    int meeting;   /* number of the present meeting */
    int dissolved; /* decided before a meeting, to be obeyed after it */
    int finished;  /* helpers that touch nothing any more */
    double began;  /* the present window of time */
    double waited; /* in it, by the caller */
} team;

static inline void pause_processor(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* Wait, and return how long it took beyond the time that is spent spinning. */
static inline double wait_until(const int *flag, int value)
{
    double began = 0;
    for (int turn = 0; __atomic_load_n(flag, __ATOMIC_ACQUIRE) != value; turn++) {
        if (turn < SPINS) {
            pause_processor();
        } else {
            if (turn == SPINS)
                began = seconds();
            yield_processor(); /* somebody else may need this core to arrive */
        }
    }
    return began > 0 ? seconds() - began : 0;
}

/* Wait for all; what each wrote before is then seen by all. */
static inline void team_meet(team *t, int thread)
{
    int meeting = t->meeting;
    double waited;
    if (t->size == 1)
        return;
    if (__atomic_add_fetch(&t->arrived, 1, __ATOMIC_ACQ_REL) == t->size) {
        t->arrived = 0;
        __atomic_store_n(&t->meeting, meeting + 1, __ATOMIC_RELEASE);
    } else {
        waited = wait_until(&t->meeting, meeting + 1);
        if (thread == 0)
            t->waited += waited;
    }
}

/* A meeting after which the team may be dissolved: nonzero for a helper that is to leave. */
static inline int team_review(team *t, int thread)
{
    double now;
    if (t->size == 1)
        return 0;
    if (thread == 0 && t->waited > 0) {
        now = seconds();
        t->dissolved = t->waited > WAITED_SECONDS && t->waited > WAITED_SHARE * (now - t->began);
        if (now - t->began > WINDOW_SECONDS) {
            t->began = now;
            t->waited = 0;
        }
    }
    team_meet(t, thread);
    if (!t->dissolved)
        return 0;
    if (thread == 0)
        t->size = 1;
    return thread;
}

/* The number of the next piece of work that nobody has taken. */
static inline int team_claim(team *t) { return __atomic_fetch_add(&t->claimed, 1, __ATOMIC_RELAXED); }

/* A helper comes: its number in the team, or 0 where it is too late. */
static inline int team_join(team *t)
{
    int before = __atomic_fetch_add(&t->enrolled, 1, __ATOMIC_ACQ_REL);
    if (before & CLOSED)
        return 0;
    wait_until(&t->open, 1);
    return before + 1;
}

/* The caller begins.  Where threads meet it is with those of `helpers` that are there, else
 * they may come later. */
static inline void team_open(team *t, int helpers, int meets)
{
    double began = seconds();
    t->size = 1 + helpers;
    if (meets) {
        while (__atomic_load_n(&t->enrolled, __ATOMIC_ACQUIRE) < helpers
               && seconds() - began < ENROLMENT_SECONDS)
            pause_processor();
        t->members = __atomic_fetch_or(&t->enrolled, CLOSED, __ATOMIC_ACQ_REL);
        t->size = 1 + t->members;
    }
    t->began = seconds();
    __atomic_store_n(&t->open, 1, __ATOMIC_RELEASE);
}

static inline void team_leave(team *t) { __atomic_add_fetch(&t->finished, 1, __ATOMIC_ACQ_REL); }

/* The caller waits for those that were let in. */
static inline void team_close(team *t)
{
    int before = __atomic_fetch_or(&t->enrolled, CLOSED, __ATOMIC_ACQ_REL);
    wait_until(&t->finished, before & CLOSED ? t->members : before);
}

#endif
