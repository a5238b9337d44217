# Teams of threads (team.h): how they are started, and how many are worth it.

ctypedef void (*Run)(Job*, int) noexcept nogil


@cython.final
cdef class Team:
    """What the threads of a call share; each helper runs this object.

    It outlives the call: a helper that comes too late finds here that it is.
    """

    cdef team team
    cdef Job* job
    cdef Run run

    @property
    def members(self):
        """How many helpers were let in, once the call is over."""
        return self.team.members

    @property
    def dissolved(self):
        """Whether the caller sent the helpers home and went on alone."""
        return bool(self.team.dissolved)

    @property
    def far(self):
        """Whether the caller found the first helper too far away, and went on alone."""
        return bool(self.team.far)

    def __call__(self):
        cdef int thread
        with nogil:
            thread = team_join(&self.team)
            if thread:
                self.run(self.job, thread)
                team_leave(&self.team)


# When a team is tried again after one that was dissolved, which lost some milliseconds, and how
# long that pause was: it doubles from one such team to the next.  And when the cores are looked at
# again that were too far from each other.  Read and written with the GIL.
cdef double alone_until = 0
cdef double pause = 0
cdef double far_until = 0


cdef bint is_pausing(const Job* job) except -1:
    """Whether to do without helpers, who have shortly been of no use."""
    global alone_until, far_until, pause
    cdef double now = seconds()
    if not pauses:
        alone_until = far_until = pause = 0
    return now < alone_until or (now < far_until and not job.control.pays_far)


cdef int learn_from(const team* t) except -1:
    """Let the next calls do without helpers for a while, where they were of no use."""
    global alone_until, far_until, pause
    first, longest = pauses
    if t.far:
        far_until = seconds() + <double>longest
    elif t.dissolved:
        pause = min(max(2 * pause, <double>first), <double>longest)
        alone_until = seconds() + pause
    else:
        pause = 0
    return 0


cdef int run_team(Job* job, Run run, int threads, bint has_barriers) except -1:
    """Run the job on up to `threads` threads; fewer where the system has no more.

    Whatever else keeps a thread from starting is raised, before any work is done; those that
    were started leave.
    """
    cdef team alone
    cdef Team together
    cdef int helpers = 0
    cdef bint pays_far = job.control.pays_far or not pauses
    if threads <= 1 or (has_barriers and is_pausing(job)):
        memset(&alone, 0, sizeof(alone))
        alone.size = 1
        job.control.team = &alone
        with nogil:
            run(job, 0)
        return 0
    together = Team.__new__(Team)
    job.control.team, together.job, together.run = &together.team, job, run
    try:
        while helpers < threads - 1:
            start_new_thread(together, ())
            helpers += 1
    except RuntimeError:  # "can't start new thread"
        pass
    except BaseException:
        team_cancel(&together.team)
        raise
    with nogil:
        team_open(&together.team, helpers, has_barriers, pays_far)
        run(job, 0)
        team_close(&together.team)
    if has_barriers and pauses:
        learn_from(&together.team)
    return 0


cdef bint does_pay_far(const Job* job, int threads) noexcept:
    """Whether threads that share no cache are worth it."""
    cdef Py_ssize_t columns = min(job.work.columns, job.training.batch_size)
    cdef Py_ssize_t least = (
        MIN_MACS_PER_FAR_PART if job.work.parts > 0 else MIN_MACS_PER_FAR_THREAD
    )
    return columns * job.plan.macs // threads >= least


cdef int useful_threads(int threads, Py_ssize_t part, Py_ssize_t whole) except -1:
    """How many threads pay for multiply-adds of `part` between barriers and `whole` in all.

    A thread without a processor of its own would only make the others wait.
    """
    threads = <int>min(<Py_ssize_t>threads, part // MIN_MACS_PER_THREAD)
    if threads <= 1 or whole < MIN_MACS_FOR_THREADS:
        return 1
    processors = len(sched_getaffinity(0)) if sched_getaffinity else os.cpu_count() or 1
    return min(threads, <int>processors)
