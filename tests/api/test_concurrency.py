"""Threads of Python, forks, and memory: what a kernel shares and what it must not share."""

import threading

import numpy as np
import pytest
from support.tables import BACKENDS

import fastnn


def make(seed, m=300, dtype="float32"):
    rng = np.random.default_rng(seed)
    net = fastnn.MLP([20, 33, 33, 3], hidden="tanh", output="softmax", seed=seed, dtype=dtype)
    X = rng.normal(size=(20, m)).astype(dtype)
    return net, X, np.eye(3, dtype=dtype)[:, rng.integers(0, 3, m)]


def in_threads(functions):
    """Run the functions at the same time, and return what they return."""
    results, errors = [None] * len(functions), []
    barrier = threading.Barrier(len(functions))

    def run(i, function):
        try:
            barrier.wait()
            results[i] = function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=item) for item in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors
    return results


def test_two_networks_in_two_threads(backend, dtype):
    """Each ends with the bits that it has when it trains alone."""

    def train(seed):
        net, X, Y = make(seed, dtype=dtype)
        history = net.fit(X, Y, epochs=40, batch_size=32, threads=2)
        return net.parameter_vector.tobytes(), history.cost.tobytes()

    alone = [train(seed) for seed in (1, 2)]
    assert alone[0] != alone[1]
    assert in_threads([lambda: train(1), lambda: train(2)]) == alone


def test_one_network_in_many_threads(backend, dtype):
    """Calls on one network that run at the same time do not share working memory."""
    net, X, Y = make(3, m=64, dtype=dtype)
    inputs = [np.ascontiguousarray(X[:, : 16 * (i + 1)]) for i in range(4)]
    targets = [np.ascontiguousarray(Y[:, : x.shape[1]]) for x in inputs]
    forward = [net.forward(x).tobytes() for x in inputs]
    gradients = [net.gradients(x, y)[1]["dW1"].tobytes() for x, y in zip(inputs, targets)]

    def work(i):
        for _ in range(150):
            assert net.forward(inputs[i]).tobytes() == forward[i], "forward"
            dW1 = net.gradients(inputs[i], targets[i])[1]["dW1"]
            assert dW1.tobytes() == gradients[i], "gradients"
        return True

    assert in_threads([lambda i=i: work(i) for i in range(4)]) == [True] * 4


def test_threads_argument_changes_no_bit(backend, dtype):
    ends = []
    for threads in (1, 2, 5):
        net, X, Y = make(4, m=1500, dtype=dtype)
        net.fit(X, Y, epochs=5, learning_rate=0.2, threads=threads)
        ends.append(net.parameter_vector.tobytes())
    assert ends[0] == ends[1] == ends[2]


FORK = """
    import os, sys, time, warnings
    import numpy as np
    import fastnn
    warnings.simplefilter("ignore", DeprecationWarning)  # Python's own doubts about fork

    def train():
        rng = np.random.default_rng(0)
        X = rng.normal(size=(64, 3000)).astype("f4")
        net = fastnn.MLP([64, 128, 1], hidden="relu", output="linear")
        net.fit(X, X[:1], epochs=5, learning_rate=0.01, threads=2)
        return net.parameter_vector.tobytes()

    before = train()  # so that a pool of threads, if there is one, exists
    child = os.fork()
    if child == 0:
        os._exit(0 if train() == before else 3)
    for _ in range(600):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        time.sleep(0.1)
    else:
        os.kill(child, 9)
        sys.exit("the child hangs")
    assert train() == before, "the parent was disturbed"
    sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.parametrize("name", BACKENDS)
def test_fork(run_python, name):
    """A child of a process that has trained in threads trains to the same bits, and ends."""
    done = run_python(FORK, FASTNN_BACKEND=name)
    assert done.returncode == 0


MEMORY = """
    import resource, sys
    import numpy as np
    import fastnn

    def peak():
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

    m = 1_000_000
    X = np.random.default_rng(0).random((8, m), dtype="f4")
    net = fastnn.MLP([8, 64, 2], hidden="tanh", output="linear")
    net.forward(X[:, :4000])  # what is loaded or compiled once is not working memory
    before = peak()
    A = net.forward(X)
    print(peak() - before - A.nbytes)
"""


@pytest.mark.parametrize("name", BACKENDS)
def test_memory_of_forward_does_not_grow(run_python, name):
    """A million columns need the output and a few megabytes; A1 alone would be 256 MB."""
    beyond = int(run_python(MEMORY, FASTNN_BACKEND=name).stdout)
    assert beyond < 12e6, f"{beyond / 1e6:.1f} MB beyond the output"
