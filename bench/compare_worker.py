"""One revision of fastnn at work for ``bench.compare``: a process that answers through pipes.

It runs under revisions old and new, so it uses nothing of fastnn but the public functions.
A request is a pickled ``(name, arguments)`` on the standard input, the answer a pickled
``(result, None)`` or ``(None, what went wrong)`` on the standard output.  The command line
names the root of the project whose tables of cases are used.
"""

import hashlib
import pickle
import sys
import time
from itertools import repeat

import numpy as np

import fastnn

__all__ = ["Worker"]

SLOPE = 0.2
"""Of leaky_relu in the networks whose bits are compared."""

BITS_SEED = 3


class Worker:
    """What can be asked of a revision; each method is a request."""

    def __init__(self):
        self.run = None

    def about(self):
        """Where fastnn came from, and what runs."""
        info = fastnn.backend_info()
        return {"from": fastnn.__path__[0], "active": info["active"], "simd": info["simd"]}

    def prepare(self, case, dtype):
        """Get a row of the table ready, and return named results to be verified."""
        from bench.cases import Layer
        from bench.work import work_of

        make = _layer if isinstance(case, Layer) else _network
        self.run, results = make(work_of(case, dtype))
        return results

    def seconds(self, n):
        """Time of n repetitions; one more goes before them, for what the other one's turn
        has left in the caches."""
        self.run(1)
        started = time.perf_counter()
        self.run(n)
        return time.perf_counter() - started

    def bits(self, case, dtype):
        """Fingerprints of outputs and of parameters after a few epochs of plain descent."""
        net, X, Y = _net_for_bits(case, dtype)
        start = net.parameter_vector.copy()
        prints = {"forward": _fingerprint(net.forward(X))}
        for name, options in {
            "full batches": {},
            "mini-batches": {"batch_size": min(13, case.m), "seed": BITS_SEED},
        }.items():
            net.parameter_vector[:] = start
            history = net.fit(X, Y, epochs=3, learning_rate=0.01, **options)
            prints[name] = _fingerprint(net.parameter_vector, history.cost)
        return prints


def _network(work):
    """How to run a network, and its results: outputs, or parameters after training."""
    from bench.contenders import VERIFIED_STEPS
    from bench.work import EPOCH_SEED, LEARNING_RATE

    case, X, Y = work.case, work.X, work.Y
    *hidden, output = case.activations
    net = fastnn.MLP(case.layer_sizes, hidden, output, case.loss, dtype=work.dtype)
    net.set_parameters(work.parameters)
    if case.kind == "forward":
        return lambda n: _repeat(net.forward, (X,), n), {"A": net.forward(X).copy()}
    start = net.parameter_vector.copy()
    options = dict(learning_rate=LEARNING_RATE, batch_size=case.batch_size, seed=EPOCH_SEED)

    def run(n):
        net.parameter_vector[:] = start
        net.fit(X, Y, epochs=n, **options)

    run(1 if case.batch_size else VERIFIED_STEPS)
    return run, {name: array.copy() for name, array in net.parameters.items()}


def _layer(work):
    """How to run the function of one layer, and what it returns."""
    case = work.case
    g = case.activation
    function, arguments, names = {
        "activate": (fastnn.activate, (work.Z, g), "A"),
        "activation_backward": (fastnn.activation_backward, (work.dA, work.A, g), "dZ"),
        "output_cost": (fastnn.cost, (work.A, work.Y, _loss(g)), "J"),
        "dense_forward": (fastnn.dense_forward, (work.W, work.b, work.A_prev, g), "A"),
        "dense_backward": (fastnn.dense_backward, (work.dZ, work.W, work.A_prev), "dW db dA_prev"),
    }[case.kind]
    results = function(*arguments)
    if not isinstance(results, tuple):
        results = (results,)
    return lambda n: _repeat(function, arguments, n), {
        name: np.asarray(result) for name, result in zip(names.split(), results, strict=True)
    }


def _loss(output):
    return {"sigmoid": "binary_cross_entropy", "softmax": "cross_entropy"}.get(output, "mse")


def _repeat(function, arguments, n):
    for _ in repeat(None, n):
        function(*arguments)


def _net_for_bits(case, dtype):
    """A network of the tests' table with parameters, X and Y that depend on nothing else."""
    *hidden, output = ((name, SLOPE) if name == "leaky_relu" else name for name in case.activations)
    net = fastnn.MLP(case.layer_sizes, hidden, output, case.loss, dtype=dtype)
    rng = np.random.default_rng([case.m, *case.layer_sizes])
    scale = 1 / np.sqrt(max(case.layer_sizes))
    net.parameter_vector[:] = scale * rng.standard_normal(net.parameter_vector.size)
    X = rng.standard_normal((case.layer_sizes[0], case.m)).astype(dtype)
    n = case.layer_sizes[-1]
    if case.loss == "cross_entropy":
        Y = np.eye(n, dtype=dtype)[:, rng.integers(n, size=case.m)]
    else:
        Y = rng.integers(2, size=(n, case.m)).astype(dtype)
    return net, X, Y


def _fingerprint(*arrays):
    digest = hashlib.sha1()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def main():
    """Answer requests until there are no more."""
    # Behind the revision's own folder, so that fastnn comes from there, and bench from here.
    sys.path.append(sys.argv[1])
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr
    worker = Worker()
    while True:
        try:
            name, arguments = pickle.load(requests)
        except EOFError:
            return
        try:
            answer = getattr(worker, name)(*arguments), None
        except Exception as error:  # any: the other side says what it was
            answer = None, f"{type(error).__name__}: {error}"
        pickle.dump(answer, answers, pickle.HIGHEST_PROTOCOL)
        answers.flush()


if __name__ == "__main__":
    main()
