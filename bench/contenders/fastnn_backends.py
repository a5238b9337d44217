"""fastnn itself: one backend, at one SIMD level and a number of threads."""

import time
from itertools import repeat

import numpy as np

import fastnn
from bench.cases import CASES, LAYERS, RULES, Layer
from bench.contenders import VERIFIED_STEPS
from bench.work import EPOCH_SEED, LEARNING_RATE, work_of
from fastnn import backends
from fastnn.activations import ACTIVATIONS
from fastnn.losses import default_for, specification

__all__ = ["Beside", "Fastnn", "kernel_modules", "warm_up"]


class Fastnn:
    """One backend of fastnn, at one SIMD level and a number of threads."""

    def __init__(self, backend, threads=1, name=None):
        self.backend = backend
        self.threads = threads
        self.name = name or (f"{backend.name} {backend.simd}" if backend.simd else backend.name)
        self.versions = {"fastnn": fastnn.__version__}
        if backend.name == "numba":
            self.versions["Numba"] = fastnn.backend_info()["versions"]["numba"]

    def prepare(self, work):
        if isinstance(work.case, Layer):
            return _KernelRunner(self, work)
        return RUNNERS[work.case.kind](self, work)

    def use(self):
        """Make it what fastnn runs on."""
        backends.set_backend(self.backend)
        fastnn.set_num_threads(self.threads)


class Beside(Fastnn):
    """The same network trained by the case's other rule, or many of them on one thread.

    What it finds is not compared with anything: only its time is.
    """

    def prepare(self, work):
        case = work.case
        if case.beside is None:
            return None
        one_thread = Fastnn(self.backend, 1)
        runner = RUNNERS[case.kind](one_thread if case.kind == "many" else self, work, case.beside)
        runner.results = dict
        return runner


def kernel_modules(contenders, dtype):
    """The modules of kernels that the contenders and the reference have for a dtype."""
    ours = [contender.backend for contender in contenders if isinstance(contender, Fastnn)]
    used = dict.fromkeys([backends.load("numpy"), *ours])
    return [backend.kernels(np.dtype(dtype)) for backend in used]


def warm_up(contender, dtype):
    """Run each kernel once on two examples; return the seconds that it took.

    For Numba this is the time of compiling, or of loading what was compiled before.
    """
    seconds = 0.0
    for kind in {case.kind: case for case in (*LAYERS, *CASES)}.values():
        small = kind._replace(m=2)
        if getattr(small, "batch_size", None):
            small = small._replace(batch_size=1)
        work = work_of(small, dtype)
        started = time.perf_counter()
        contender.prepare(work).results()
        seconds += time.perf_counter() - started
    return seconds


class _NetworkRunner:
    def __init__(self, contender, work, rule=None):
        contender.use()
        self.contender, self.work = contender, work
        self.options = {"learning_rate": LEARNING_RATE} | RULES[rule or work.case.rule]
        self.dropout = self.options.pop("dropout", 0.0)
        if self.options.pop("weights", False):
            self.options["sample_weight"] = np.linspace(0.5, 1.5, work.case.m, dtype=work.dtype)
        self.net = self._network()
        self.initial = np.concatenate([array.ravel() for array in work.parameters.values()])

    def _network(self, seed=0):
        *hidden, output = self.work.case.activations
        return fastnn.MLP(
            self.work.case.layer_sizes, hidden, output, self.work.case.loss, seed=seed,
            dtype=self.work.dtype, dropout=self.dropout,
        )  # fmt: skip

    def reset(self):
        self.contender.use()
        self.net.parameter_vector[:] = self.initial
        self.net.engine  # noqa: B018  made again here, not in the first timed call


class _ForwardRunner(_NetworkRunner):
    def results(self):
        self.reset()
        return {"A": self.net.forward(self.work.X)}

    def run(self, n):
        forward, X = self.net.forward, self.work.X
        for _ in repeat(None, n):
            forward(X)


class _TrainRunner(_NetworkRunner):
    """Steps and epochs inside `fit`, as a user has them."""

    def results(self):
        self.reset()
        self._fit(1 if self.work.case.batch_size else VERIFIED_STEPS)
        return {name: array.copy() for name, array in self.net.parameters.items()}

    def run(self, n):
        self._fit(n)

    def _fit(self, epochs):
        self.net.fit(
            self.work.X,
            self.work.Y,
            epochs=epochs,
            batch_size=self.work.case.batch_size,
            seed=EPOCH_SEED,
            **self.options,
        )


class _JacobianRunner(_NetworkRunner):
    def results(self):
        self.reset()
        return {"J": self.net.jacobian(self.work.X)}

    def run(self, n):
        jacobian, X = self.net.jacobian, self.work.X
        for _ in repeat(None, n):
            jacobian(X)


class _ManyRunner(_NetworkRunner):
    """Networks that differ in their initial weights alone, each trained on its own."""

    def results(self):
        self.reset()
        self._fit_many(self.networks[:1])
        return {name: array.copy() for name, array in self.networks[0].parameters.items()}

    def reset(self):
        super().reset()
        self.networks = [self._network(seed) for seed in range(self.work.case.networks)]
        self.networks[0].parameter_vector[:] = self.initial

    def run(self, n):
        for _ in repeat(None, n):
            self._fit_many(self.networks)

    def _fit_many(self, networks):
        case = self.work.case
        fastnn.fit_many(
            networks, self.work.X, self.work.Y, epochs=case.epochs, batch_size=case.batch_size,
            shuffle=False, threads=self.contender.threads, **self.options,
        )  # fmt: skip


class _UntilRunner(_NetworkRunner):
    """A whole training, of as many epochs as the score takes; the score is looked at before."""

    def results(self):
        self.contender.use()
        self.epochs = self.work.epochs_until(self._scores)
        return {}

    def _scores(self, seed):
        net, optimizer = self._network(seed), fastnn.optimizers.Adam()
        options = self.options | {"optimizer": optimizer}
        while True:
            net.fit(
                self.work.X, self.work.Y, epochs=1, batch_size=self.work.case.batch_size, **options
            )
            yield net.score(self.work.X_test, self.work.Y_test)

    def run(self, n):
        for seed in range(n):
            self._network(seed).fit(
                self.work.X, self.work.Y, epochs=self.epochs,
                batch_size=self.work.case.batch_size, **self.options,
            )  # fmt: skip


RUNNERS = {
    "forward": _ForwardRunner, "step": _TrainRunner, "epoch": _TrainRunner,
    "jacobian": _JacobianRunner, "many": _ManyRunner, "until": _UntilRunner,
}  # fmt: skip


class _KernelRunner:
    """One layer kernel, called as the contract has it, with outputs that are there already."""

    def __init__(self, contender, work):
        kernels = contender.backend.kernels(work.dtype)
        self.kernel = getattr(kernels, work.case.kind)
        inputs, self.outputs = _kernel_arguments(work)
        without_D = (None,) if work.case.kind == "activate" else ()
        self.arguments = (*inputs, *self.outputs.values(), *without_D)

    def results(self):
        cost = self.kernel(*self.arguments)
        arrays = {name: array.copy() for name, array in self.outputs.items()}
        return arrays if cost is None else {"J": np.array([cost]), **arrays}

    def reset(self):
        pass

    def run(self, n):
        kernel, arguments = self.kernel, self.arguments
        for _ in repeat(None, n):
            kernel(*arguments)


def _kernel_arguments(work):
    """The inputs of a layer kernel, and its outputs by name."""
    case = work.case
    g = ACTIVATIONS[case.activation].code, 0.01
    loss, m = specification(default_for(case.activation), 0.0, case.activation), float(case.m)
    inputs, outputs = {
        "activate": ((work.Z, *g), "A"),
        "activation_backward": ((work.dA, work.A, None, *g, m), "dZ db"),
        "output_cost": ((work.A, None, work.Y, None, loss, *g), "dZ"),
        "dense_forward": ((work.W, work.b, work.A_prev, *g), "A"),
        "dense_backward": ((work.dZ, work.W, work.A_prev, m), "dW db dA_prev"),
    }[case.kind]
    shapes = {"A": work.Z, "dZ": work.Z, "db": work.b, "dW": work.W, "dA_prev": work.A_prev}
    return inputs, {name: np.empty_like(shapes[name]) for name in outputs.split()}
