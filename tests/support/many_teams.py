"""Calls that form teams of threads and dissolve them, many times: a script for ThreadSanitizer.

``nox -s races`` runs it; the sanitizer ends it at the first race.  It claims more processors
than there are, so that teams dissolve, and prints how often they did.
"""

import os
import sys

import numpy as np

import fastnn

ROUNDS = 12


def main():
    with fastnn.use_backend("cython"):
        for dtype in ("float32", "float64"):
            kernels = fastnn.backends.current.kernels(np.dtype(dtype))
            teams = keep_teams(kernels)
            for threads in (2, 3, 4):
                kernels.sched_getaffinity = lambda pid, n=threads: set(range(n))
                for seed in range(ROUNDS):
                    # Helpers that are slow to answer, as most are here, are let in or sent home.
                    kernels.pauses = (0.0, 0.0) if seed % 4 == 0 else None
                    calls(dtype, threads, seed)
            formed = sum(team.members > 0 for team in teams)
            dissolved = sum(team.dissolved for team in teams)
            print(f"{dtype}: {len(teams)} teams, {formed} formed, {dissolved} dissolved")
            if not (formed and dissolved):
                sys.exit("no team formed, or none dissolved: nothing was shown")


def keep_teams(kernels):
    """The teams that will ask for helpers from now on."""
    teams, start = {}, kernels.start_new_thread

    def keep(team, arguments):
        teams[team] = True
        return start(team, arguments)

    kernels.start_new_thread = keep
    return teams


def calls(dtype, threads, seed):
    """Forward, gradients and training in threads; large batches, then small ones, shuffled."""
    rng = np.random.default_rng(seed)
    m = int(rng.integers(1500, 4000))
    net = fastnn.MLP([48, 96, 96, 3], hidden="relu", output="softmax", seed=seed, dtype=dtype)
    X = rng.normal(size=(48, m)).astype(dtype)
    Y = np.eye(3, dtype=dtype)[:, rng.integers(0, 3, m)]
    fastnn.set_num_threads(threads)
    net.forward(X)
    net.gradients(X, Y)
    net.step(X, Y, learning_rate=0.01)
    net.fit(X, Y, epochs=3, learning_rate=0.01, threads=threads)
    net.fit(X, Y, epochs=3, learning_rate=0.01, batch_size=256, seed=seed, threads=threads)


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity") and len(os.sched_getaffinity(0)) > 2:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    main()
