"""The fuzzer of files: ``python tests/fuzz/fuzz_files.py --inputs 1000000``.

Whatever bytes a file has, `fastnn.load` returns a network or raises `FormatError`; it never lets
another exception out, hangs, crashes, or takes much memory.  What it returns can be run, drawn
from, and saved again.  An input for which that is not so is kept in ``tests/fuzz/found/``.
"""

import argparse
import collections
import faulthandler
import hashlib
import io
import multiprocessing
import os
import random
import re
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import mutation
import numpy as np

import fastnn
from fastnn.io import document, loading

FOUND = Path(__file__).parent / "found"
SECONDS = 1.0
"""The most that an input of some kilobytes may take of the processor; it takes 0.1 ms."""
ROOM = 1 << 30
"""Bytes of memory that the fuzzer may take beyond those that it starts with."""
PORTION = 10_000
"""Inputs that one process judges at a time, from a random source of their own."""


def judge(data):
    """Parse one input; return what became of it, in a few words."""
    try:
        net, optimizer = loading.parse(io.BytesIO(data))
    except fastnn.FormatError as error:
        message = str(error)
        assert "\n" not in message
        return re.sub(r"'[^']*'|\d+|\(.*|\[.*|got .*", "_", message)
    with np.errstate(all="ignore"):
        net.forward(np.ones(net.layer_sizes[0]))
    net.generator.integers(9, size=5, dtype=np.uint32)
    again, _ = document.restore(*document.compose(net, optimizer))
    assert again.parameter_vector.tobytes() == net.parameter_vector.tobytes()
    return "a network"


def fuzz(inputs, seed):
    """Judge so many inputs; return how often each outcome was met."""
    corpus, source = mutation.seeds(), random.Random(seed)
    outcomes = collections.Counter()
    for i in range(inputs):
        if i % 1000 == 0:  # the watchdog: where one hangs, it says where, and ends the process
            faulthandler.dump_traceback_later(60, exit=True, file=sys.__stderr__)
        data = mutation.mutant(source, corpus)
        started = time.thread_time()  # a machine that stands still is no fault of the input
        try:
            outcomes[judge(data)] += 1
            seconds = time.thread_time() - started
            assert seconds < SECONDS, f"{seconds:.1f} s"
        except BaseException:
            faulthandler.cancel_dump_traceback_later()
            print(f"input {i} of seed {seed} is kept: {keep(data)}", file=sys.stderr)
            raise
    faulthandler.cancel_dump_traceback_later()
    return outcomes


def fuzz_in_processes(inputs, seed):
    """`fuzz` by all cores that there are; how many changes nothing of what is judged."""
    outcomes = collections.Counter()
    portions = [min(PORTION, inputs - first) for first in range(0, inputs, PORTION)]
    seeds_of_portions = [f"{seed}.{number}" for number in range(len(portions))]
    context = multiprocessing.get_context("spawn")  # no copies of threads that others started
    with ProcessPoolExecutor(cores(), context, limit_memory) as pool:
        for found in pool.map(fuzz, portions, seeds_of_portions):
            outcomes += found
    return outcomes


def cores():
    """How many this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)  # not on every system
    return len(allowed(0)) if allowed else os.cpu_count()


def keep(data):
    """Write an input where it is found again, and return its path."""
    FOUND.mkdir(exist_ok=True)
    path = FOUND / hashlib.sha256(data).hexdigest()[:16]
    path.write_bytes(data)
    return path


def limit_memory():
    """Let a large allocation fail, which is an error like any other."""
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def write_corpus():
    """Make the seeds anew: small files, of all that a file may hold."""
    mutation.CORPUS.mkdir(exist_ok=True)
    X = np.linspace(0, 9, 10)[None]
    adam, momentum = fastnn.optimizers.Adam(), fastnn.optimizers.Momentum()
    philox = np.random.Generator(np.random.Philox(1))
    plain = fastnn.MLP([2, 3, 1], "relu")
    one = fastnn.MLP([1, 2], output="softmax", dtype="float64", seed=philox)
    slopes = ["leaky_relu", ("elu", 0.5)]
    deep = fastnn.MLP([2, 2, 1, 1], slopes, "linear", ("huber", 2.0), dropout=[0.1, 0.2])
    scaled = fastnn.MLP([1, 2, 1], "tanh", "linear", dtype="float64")
    scaled.fit(X, 3 * X, epochs=2, optimizer=adam, standardize=True)
    classes = fastnn.MLP([1, 1])
    classes.fit(X, X > 4, epochs=1, optimizer=momentum, standardize=True)
    for suffix in ("safetensors", "npz"):
        plain.save(mutation.CORPUS / f"plain.{suffix}")
        one.save(mutation.CORPUS / f"one_layer.{suffix}")
        deep.save(mutation.CORPUS / f"deep.{suffix}", optimizer=fastnn.optimizers.LBFGS())
        scaled.save(mutation.CORPUS / f"scaled.{suffix}", optimizer=adam)
        classes.save(mutation.CORPUS / f"classes.{suffix}", optimizer=momentum)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write-corpus", action="store_true", help="make the seeds anew, and stop")
    options = parser.parse_args()
    if options.write_corpus:
        write_corpus()
        return
    started = time.perf_counter()
    outcomes = fuzz_in_processes(options.inputs, options.seed)
    for outcome, count in outcomes.most_common():
        print(f"{count:9}  {outcome}")
    seconds = time.perf_counter() - started
    assert outcomes.total() == options.inputs
    print(f"{options.inputs} inputs, {len(outcomes)} outcomes, {seconds:.0f} s")


if __name__ == "__main__":
    main()
