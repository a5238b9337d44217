"""The table of network cases that the benchmarks time and the tests verify.

Nothing but plain values: this file imports neither fastnn nor NumPy, so that every
contender can be given the same work.
"""

from itertools import pairwise
from typing import NamedTuple

__all__ = ["CASES", "LAYERS", "NETWORK_KINDS", "RULES", "TRAINING", "Case", "Layer", "small"]

NETWORK_KINDS = ("forward", "step", "epoch")


class Case(NamedTuple):
    """One piece of work.

    `kind` is ``"forward"`` (one pass over m examples), ``"step"`` (one gradient-descent
    step on all m examples), ``"epoch"`` (one pass of shuffled mini-batches over m
    examples), ``"jacobian"`` (of m examples), ``"many"`` (so many networks are trained at once)
    or ``"until"`` (until a score on examples that were held out is reached).  The flops are
    those that have to be done: a multiply and an add count 2.
    """

    name: str
    kind: str
    layer_sizes: tuple
    activations: tuple
    loss: str
    m: int
    batch_size: int | None = None
    rule: str = "plain"
    """How it is trained: a row of `RULES`."""
    beside: str | None = None
    """The rule with which our own time is compared too."""
    networks: int = 1
    epochs: int = 1
    least: int = 1
    """How often the work is done in one call at least: epochs of one `fit`."""

    @property
    def sizes(self):
        """The layer sizes as they are written, 64-32-10."""
        return "-".join(map(str, self.layer_sizes))

    @property
    def products(self):
        """N[l] = n[l-1] n[l] of each layer."""
        return [n_in * n_out for n_in, n_out in pairwise(self.layer_sizes)]

    @property
    def parameters(self):
        """Number of weights and biases."""
        return sum(self.products) + sum(self.layer_sizes[1:])

    @property
    def flops(self):
        """2mN per layer forward; a step adds dW, and dA_prev for all layers but the first."""
        forward = 2 * self.m * sum(self.products)
        if self.kind == "forward":
            return forward
        if self.kind == "jacobian":
            return forward * (1 + self.layer_sizes[-1])
        return (3 * forward - 2 * self.m * self.products[0]) * self.networks * self.epochs

    @property
    def elements(self):
        """Numbers that have to be moved at least: X, Y (or the output) and the parameters."""
        return self.m * (self.layer_sizes[0] + self.layer_sizes[-1]) + self.parameters

    @property
    def activated(self):
        """(activation, how many numbers it is applied to) of each layer."""
        widths = self.layer_sizes[1:]
        return [(g, self.m * n) for g, n in zip(self.activations, widths, strict=True)]


class Layer(NamedTuple):
    """One call of one layer kernel; `kind` is its name in the contract.

    Kernels without a product work on (n_out, m) arrays and have ``n_in == 0``.
    """

    kind: str
    n_in: int
    n_out: int
    m: int
    activation: str

    @property
    def sizes(self):
        """n_in-n_out, or n_out alone."""
        return f"{self.n_in}-{self.n_out}" if self.n_in else f"{self.n_out}"

    @property
    def name(self):
        activation = "" if self.kind == "dense_backward" else f" {self.activation}"
        return f"{self.kind} {self.sizes} m={self.m}{activation}"

    @property
    def flops(self):
        """2mN for W A_prev; as much again for each of dZ A_prev^T and W^T dZ."""
        products = {"dense_forward": 1, "dense_backward": 2}.get(self.kind, 0)
        return 2 * self.m * self.n_in * self.n_out * products

    @property
    def elements(self):
        """Numbers read and written, each once."""
        n, n_in, N = self.n_out * self.m, self.n_in * self.m, self.n_in * self.n_out
        return {
            "activate": 2 * n,
            "activation_backward": 3 * n + self.n_out,
            "output_cost": 3 * n,
            "dense_forward": n_in + n + N + self.n_out,
            "dense_backward": 2 * n_in + n + 2 * N + self.n_out,
        }[self.kind]

    @property
    def activated(self):
        n = self.n_out * self.m
        return [(self.activation, n)] if self.kind in ("activate", "dense_forward") else []


RULES = {
    "plain": {},
    "adam": {"optimizer": "adam", "learning_rate": 0.001},
    "adam dropout": {"optimizer": "adam", "learning_rate": 0.001, "dropout": 0.2},
    "adam l2 clip weights": {
        "optimizer": "adam", "learning_rate": 0.001, "l2": 1e-4, "clip_norm": 1.0, "weights": True,
    },
}  # fmt: skip
"""What `fit` is told beside the examples; "dropout" is the network's."""


def _case(kind, sizes, m, batch_size=None, hidden="relu", output="softmax", **more):
    """A row of the table: sizes are written 64-32-10, the loss is the output's own."""
    layer_sizes = tuple(int(n) for n in sizes.split("-"))
    activations = (hidden,) * (len(layer_sizes) - 2) + (output,)
    loss = {"softmax": "cross_entropy", "sigmoid": "binary_cross_entropy", "linear": "mse"}
    batches = "" if batch_size is None else f" b={batch_size}"
    rule = more.get("rule", "plain")
    words = [f"{kind} {sizes} m={m}{batches}", *([] if rule == "plain" else [rule])]
    words += ["gelu"] if hidden == "gelu" else []
    words += [f"({more['least']} epochs)"] if "least" in more else []
    return Case(
        " ".join(words), kind, layer_sizes, activations, loss[output], m, batch_size, **more
    )


YES_NO = {"hidden": "tanh", "output": "sigmoid"}
VALUES = {"hidden": "relu", "output": "linear"}

CASES = (
    # One sample, as a control loop asks it.
    _case("forward", "4-16-1", 1, hidden="tanh", output="linear"),
    _case("forward", "64-64-64-8", 1, **VALUES),
    _case("forward", "784-128-10", 1),
    # Many samples.
    _case("forward", "64-64-64-8", 256, **VALUES),
    _case("forward", "784-128-10", 4096),
    _case("forward", "784-1024-1024-10", 1024),
    _case("forward", "784-1024-1024-10", 4096),
    # Full-batch steps, from the course's planar flower upwards.
    _case("step", "2-4-1", 400, **YES_NO),
    _case("step", "20-64-1", 1000, **YES_NO),
    _case("step", "32-64-64-1", 8192, **VALUES),
    _case("step", "64-64-10", 1437),
    _case("step", "784-128-10", 4096),
    _case("step", "784-1024-1024-10", 1024),
    _case("step", "784-1024-1024-10", 4096),
    # Epochs of shuffled mini-batches.
    _case("epoch", "64-32-10", 1792, 32),
    _case("epoch", "30-100-1", 4096, 64, **YES_NO),
    _case("epoch", "784-128-10", 8192, 64),
    _case("epoch", "784-512-512-10", 4096, 256),
    # Odd sizes beside their round neighbours: no cliff at the edges of tiles.
    _case("forward", "37-53-7", 1013, **VALUES),
    _case("forward", "40-56-8", 1024, **VALUES),
    _case("step", "37-53-7", 1013, **VALUES),
    _case("step", "40-56-8", 1024, **VALUES),
    # Square networks: the bar set by pre-blocked operands.
    *(
        _case(kind, sizes, m, **VALUES)
        for sizes, m in (("64-64-64", 64), ("128-128-128", 128), ("512-512-512", 256))
        for kind in ("forward", "step")
    ),
    # The same network with more and more examples: the time of one example stays.
    *(_case("forward", "64-64-64-8", m, **VALUES) for m in (1_000, 10_000, 100_000, 1_000_000)),
    *(_case("step", "64-64-64-8", m, **VALUES) for m in (100, 1_000, 10_000, 100_000)),
)


TRAINING = (
    # Optimizers and penalties, each beside our own training without.
    _case("epoch", "64-32-10", 1792, 32, rule="adam", beside="plain"),
    _case("epoch", "784-128-10", 8192, 64, least=3),
    _case("epoch", "784-128-10", 8192, 64, rule="adam", beside="plain"),
    _case("epoch", "784-128-10", 8192, 64, rule="adam", beside="plain", least=3),
    _case("epoch", "784-128-10", 8192, 64, rule="adam dropout", beside="adam", least=3),
    _case("epoch", "784-128-10", 8192, 64, rule="adam l2 clip weights", beside="adam", least=3),
    _case("step", "64-64-64-8", 1000, hidden="gelu", output="linear"),
    # Derivatives with respect to the inputs.
    *(_case("jacobian", "6-64-64-3", m, hidden="tanh", output="linear") for m in (1, 1000)),
    # 100 networks, on all threads and beside it on one; until a score is reached.
    _case("many", "20-32-1", 1000, 32, "tanh", "linear", rule="adam", beside="adam",
          networks=100, epochs=50),
    _case("until", "64-64-10", 1438, 32, rule="adam"),
    _case("until", "6-64-64-3", 2000, 32, hidden="tanh", output="linear", rule="adam"),
)  # fmt: skip
"""What `bench.peers` times beside `CASES`."""


def _layers():
    """The layer kernels: each activation, each loss, then the products from small to large."""
    for activation in ("sigmoid", "tanh", "relu", "leaky_relu", "softmax"):
        yield Layer("activate", 0, 64, 1024, activation)
        yield Layer("activation_backward", 0, 64, 1024, activation)
    for n, m, output in ((1, 1000, "sigmoid"), (10, 4096, "softmax"), (8, 4096, "linear")):
        yield Layer("output_cost", 0, n, m, output)
    for n_in, n_out, m, activation in (
        (2, 4, 400, "tanh"),
        (20, 64, 1000, "tanh"),
        (784, 128, 1, "relu"),
        (784, 128, 4096, "relu"),
        (128, 10, 4096, "softmax"),
        *((n, n, 512, "relu") for n in (64, 128, 256, 512, 1024)),
        (37, 53, 1013, "relu"),
        (40, 56, 1024, "relu"),
    ):
        yield Layer("dense_forward", n_in, n_out, m, activation)
        yield Layer("dense_backward", n_in, n_out, m, activation)


LAYERS = tuple(_layers())


def small(limit=50e6):
    """The cases of at most `limit` flops, quick enough for a test on every backend.

    Examples
    --------
    >>> small(1e4)[0].name
    'forward 4-16-1 m=1'
    """
    return [case for case in CASES if case.flops <= limit]
