/* A team of threads that run the same loop, with a barrier at the end of each part of it.
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

enum { CLOSED = 1 << 20 };

typedef struct {
    int enrolled;  /* helpers that came; + CLOSED: no more are let in */
    int size;      /* threads, the caller included; known when `open` is set */
    int members;   /* helpers that were let in, once no more are */
    int open;
    int cancelled; /* known when `open` is set: there is nothing to do */
    int asked;     /* see `is_far`: the caller's questions, and the first helper's answers */
    int answered;
    int far;       /* the caller found the helper too far away, and goes on alone */
    int claimed;   /* pieces of work that have been taken */
    int arrived;   /* at the present barrier */
    int barrier;   /* number of the present barrier */
    int dissolved; /* decided before a barrier, to be obeyed after it */
    int finished;  /* helpers that touch nothing any more */
    double began;  /* the present window of time */
    double waited; /* in it, by the caller */
} team;

/* A flag that any thread may raise and all may look at: nothing else depends on its order. */
static inline void raise_flag(int *flag) { __atomic_store_n(flag, 1, __ATOMIC_RELAXED); }
static inline int is_raised(const int *flag) { return __atomic_load_n(flag, __ATOMIC_RELAXED); }

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
static inline void team_barrier(team *t, int thread)
{
    /* Both are read before this thread arrives: nobody changes them until all have. */
    int size = t->size;
    int barrier = t->barrier;
    double waited;
    if (size == 1)
        return;
    if (__atomic_add_fetch(&t->arrived, 1, __ATOMIC_ACQ_REL) == size) {
        t->arrived = 0;
        __atomic_store_n(&t->barrier, barrier + 1, __ATOMIC_RELEASE);
    } else {
        waited = wait_until(&t->barrier, barrier + 1);
        if (thread == 0)
            t->waited += waited;
    }
}

/* A barrier after which the team may be dissolved: nonzero for a helper that is to leave.
 * Another barrier lies between any two of these. */
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
    team_barrier(t, thread);
    if (!t->dissolved)
        return 0;
    if (thread == 0)
        t->size = 1; /* the helpers have read it for the last time */
    return thread;
}

/* The number of the next piece of work that nobody has taken. */
static inline int team_claim(team *t) { return __atomic_fetch_add(&t->claimed, 1, __ATOMIC_RELAXED); }

/* The first helper's side of `is_far`. */
static inline void answer(team *t)
{
    for (int turn = 1; turn <= QUESTIONS && !__atomic_load_n(&t->open, __ATOMIC_ACQUIRE);)
        if (__atomic_load_n(&t->asked, __ATOMIC_ACQUIRE) == turn)
            __atomic_store_n(&t->answered, turn++, __ATOMIC_RELEASE);
}

/* A helper comes: its number in the team, or 0 where it is too late or there is nothing to do. */
static inline int team_join(team *t)
{
    int before = __atomic_fetch_add(&t->enrolled, 1, __ATOMIC_ACQ_REL);
    if (before & CLOSED)
        return 0;
    if (before == 0)
        answer(t);
    wait_until(&t->open, 1);
    return t->cancelled ? 0 : before + 1;
}

/* Whether a word takes long to the first helper and back: its core shares no cache with this one,
 * and what one thread writes and the other reads costs more than it should. */
static inline int is_far(team *t)
{
    double shortest = PATIENCE_SECONDS;
    for (int turn = 1; turn <= QUESTIONS; turn++) {
        double began = seconds(), took = 0;
        __atomic_store_n(&t->asked, turn, __ATOMIC_RELEASE);
        while (__atomic_load_n(&t->answered, __ATOMIC_ACQUIRE) != turn && took < PATIENCE_SECONDS)
            took = seconds() - began;
        if (took >= PATIENCE_SECONDS)
            return 1; /* it has lost its processor */
        took = seconds() - began;
        shortest = took < shortest ? took : shortest;
    }
    return shortest > FAR_SECONDS;
}

/* The caller begins.  Where there are barriers it is with those of `helpers` that are there, and
 * not too far if that matters; else they may come later. */
static inline void team_open(team *t, int helpers, int has_barriers, int pays_far)
{
    double began = seconds();
    t->size = 1 + helpers;
    if (has_barriers) {
        while (__atomic_load_n(&t->enrolled, __ATOMIC_ACQUIRE) < helpers
               && seconds() - began < ENROLMENT_SECONDS)
            pause_processor();
        t->members = __atomic_fetch_or(&t->enrolled, CLOSED, __ATOMIC_ACQ_REL);
        t->far = t->cancelled = t->members > 0 && !pays_far && is_far(t);
        if (t->far)
            t->members = 0;
        t->size = 1 + t->members;
    }
    t->began = seconds();
    __atomic_store_n(&t->open, 1, __ATOMIC_RELEASE);
}

/* The caller cannot begin: helpers that came, or are to come, leave without work. */
static inline void team_cancel(team *t)
{
    t->cancelled = 1;
    __atomic_fetch_or(&t->enrolled, CLOSED, __ATOMIC_ACQ_REL);
    __atomic_store_n(&t->open, 1, __ATOMIC_RELEASE);
}

static inline void team_leave(team *t) { __atomic_add_fetch(&t->finished, 1, __ATOMIC_ACQ_REL); }

/* The caller waits for those that were let in. */
static inline void team_close(team *t)
{
    int before = __atomic_fetch_or(&t->enrolled, CLOSED, __ATOMIC_ACQ_REL);
    if (!(before & CLOSED))
        t->members = before;
    wait_until(&t->finished, t->members);
}

#endif
