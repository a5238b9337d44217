"""Every optimizer, penalty, weight and mask against PyTorch's optimizers, step by step."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from support import harness, network_checks, truth
from support.tables import NetworkCase
from truth.twin import Twin

from fastnn import optimizers

STEPS = 50
CASE = NetworkCase((5, 17, 9, 3), ("silu", "tanh"), "cross_entropy", "softmax", 33)
L2, CLIP_NORM, KEEP = 0.05, 0.3, 0.75


class Pair(NamedTuple):
    """An optimizer here, and the same in PyTorch."""

    ours: Callable[..., optimizers.Optimizer]
    theirs: Callable[..., torch.optim.Optimizer]
    """Of the groups of parameters and the learning rate."""
    rate: float
    state: dict[str, str] = {}
    """What is kept from step to step: its name here and there."""
    decay: float | None = None
    """Of AdamW; None: PyTorch's weight_decay is the penalty's derivative."""


def pair(ours, theirs, rate, options, state, decay=None):
    """Both with their options; `options` are the names and values in PyTorch."""
    return Pair(ours, lambda groups, lr: theirs(groups, lr=lr, **options), rate, state, decay)


SGD, BETAS = torch.optim.SGD, {"betas": (0.8, 0.95), "eps": 1e-3}
VELOCITY, MEANS = {"v": "momentum_buffer"}, {"m": "exp_avg", "v": "exp_avg_sq"}
PAIRS = {
    "gradient_descent": pair(optimizers.GradientDescent, SGD, 0.3, {}, {}),
    "momentum": pair(
        lambda: optimizers.Momentum(0.8), SGD, 0.05, {"momentum": 0.8}, VELOCITY,
    ),
    "nesterov": pair(
        lambda: optimizers.Momentum(0.8, nesterov=True), SGD, 0.05,
        {"momentum": 0.8, "nesterov": True}, VELOCITY,
    ),
    "rmsprop": pair(
        lambda: optimizers.RMSprop(0.8, 1e-3), torch.optim.RMSprop, 0.003,
        {"alpha": 0.8, "eps": 1e-3}, {"v": "square_avg"},
    ),
    "adam": pair(
        lambda: optimizers.Adam(0.8, 0.95, 1e-3), torch.optim.Adam, 0.01, BETAS, MEANS,
    ),
    "adamw": pair(
        lambda: optimizers.AdamW(0.1, 0.8, 0.95, 1e-3), torch.optim.AdamW, 0.01, BETAS, MEANS, 0.1,
    ),
}  # fmt: skip
"""None with its defaults, so that every hyper-parameter arrives where it belongs.  With a smaller
epsilon the rounding of a gradient near 0 would decide about the sign of a whole step."""


def test_pytorch_judges_every_optimizer():
    assert {pair.ours().name for pair in PAIRS.values()} == set(optimizers.OPTIMIZERS)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_defaults_of_adam(name):
    """They are PyTorch's; the others' conventions differ from library to library."""
    ours = optimizers.resolve(name)
    theirs = getattr(torch.optim, type(ours).__name__)([torch.zeros(1)]).defaults
    assert theirs["lr"] == ours.learning_rate
    assert (*theirs["betas"], theirs["eps"]) == ours.constants()
    assert theirs["weight_decay"] == ours.decay


class Race:
    """The network of `CASE` and its twin, each with its optimizer, from the same start."""

    def __init__(self, name, dtype=np.float64, l2=0.0, **options):
        self.pair = PAIRS[name]
        self.net = network_checks.mlp(CASE, dtype, **options)
        self.X, self.Y = network_checks.examples(CASE, dtype)
        self.optimizer = self.pair.ours()
        self.twin = Twin(self.net)
        decay = l2 if self.pair.decay is None else self.pair.decay
        self.judge = self.pair.theirs(self.twin.groups(decay), self.pair.rate)

    def assert_together(self, where):
        """Each W and b, and what the optimizers keep of it, is the same."""
        self.assert_near(self.net.parameter_vector, self.twin.vector(), f"parameters {where}")
        for ours, theirs in self.pair.state.items():
            self.assert_near(self.optimizer.state[ours], self.kept(theirs), f"{ours} {where}")

    def assert_near(self, actual, expected, what):
        arrays = network_checks.layers_of(CASE, expected.astype(self.net.dtype))
        for name, want in arrays.items():
            got = network_checks.layers_of(CASE, actual)[name]
            harness.assert_norm_within("rule", got, want, f"{name}, {what}")

    def kept(self, name):
        """A vector of PyTorch's state, in the order of ours."""
        return self.twin.vector([self.judge.state[p][name] for p in self.twin.parameters])

    def assert_costs(self, ours, theirs, where):
        dtype = self.net.dtype
        harness.assert_norm_within(
            "rule", np.asarray(ours).astype(dtype), np.asarray(theirs).astype(dtype),
            f"costs of {CASE} {where}",
        )  # fmt: skip


# --- step by step -------------------------------------------------------------------------


def by_update(net, X, Y, rate, optimizer):
    """A loop of one's own."""
    J, gradients = net.gradients(X, Y)
    optimizer.update(net, gradients, rate)
    return J


TAKES: dict[str, Any] = {
    "fit": lambda net, X, Y, rate, optimizer: net.fit(X, Y, 1, rate, optimizer=optimizer).cost[0],
    "step": lambda net, X, Y, rate, optimizer: net.step(X, Y, rate, optimizer=optimizer),
    "update": by_update,
}


@pytest.mark.parametrize("take", TAKES)
@pytest.mark.parametrize("name", PAIRS)
def test_every_step(backend, name, take):
    race, costs = Race(name), []
    for step in range(STEPS):
        J = TAKES[take](race.net, race.X, race.Y, race.pair.rate, race.optimizer)
        costs.append((J, race.twin.step(race.judge, race.X, race.Y)))
        race.assert_together(f"after step {step + 1}")
    race.assert_costs(*zip(*costs), "step by step")
    assert costs[-1] < costs[0], "nothing was learned"


@pytest.mark.parametrize("name", [name for name, pair in PAIRS.items() if pair.decay is None])
def test_penalty_is_weight_decay(backend, name):
    """`l2` is PyTorch's weight_decay, of the weights and not of the biases."""
    race, costs = Race(name, l2=L2), []
    for step in range(STEPS):
        penalty = race.twin.penalty(L2).item()
        J = race.twin.step(race.judge, race.X, race.Y) + penalty
        (cost,) = race.net.fit(
            race.X, race.Y, 1, race.pair.rate, optimizer=race.optimizer, l2=L2
        ).cost
        costs.append((cost, J))
        race.assert_together(f"after step {step + 1}")
    race.assert_costs(*zip(*costs), "with the penalty")


@pytest.mark.parametrize("name", PAIRS)
def test_clipping(backend, name):
    race, lengths = Race(name), []
    for step in range(STEPS):
        race.net.fit(
            race.X, race.Y, 1, race.pair.rate, optimizer=race.optimizer, clip_norm=CLIP_NORM
        )
        race.twin.step(race.judge, race.X, race.Y, clip_norm=CLIP_NORM)
        race.assert_together(f"after step {step + 1}")
        lengths.append(np.linalg.norm(race.twin.gradient()))
    clipped = np.isclose(lengths, CLIP_NORM)
    assert clipped.any() and not clipped.all(), f"lengths from {min(lengths)} to {max(lengths)}"


# --- all of it, in one call of the compiled loop ------------------------------------------


def steps_of(seed, batch_size, dropout):
    """What the `STEPS` steps of `fit(seed=seed)` take: (columns, masks) of each."""
    generator = np.random.default_rng(seed)
    order_seed, mask_seed = (int(generator.integers(1 << 63)) for _ in range(2))
    per_epoch = -(-CASE.m // batch_size)
    for step in range(STEPS):
        epoch, batch = divmod(step, per_epoch)
        start = batch * batch_size
        columns = truth.shuffled(CASE.m, order_seed, epoch)[start : start + batch_size]
        masks = [
            truth.mask(mask_seed, step, layer, KEEP, n, range(len(columns)))
            for layer, n in enumerate(CASE.layer_sizes[1:-1], start=1)
        ]
        yield columns, masks if dropout else []


@pytest.mark.parametrize("extras", ["plain", "all"])
@pytest.mark.parametrize("name", PAIRS)
def test_mini_batches(backend, dtype, name, extras):
    """Shuffled, the last one smaller; and with penalty, clipping, weights and dropout at once."""
    batch_size, per_epoch, seed = 7, 5, 3
    is_all = extras == "all"
    options = {"l2": L2, "clip_norm": CLIP_NORM} if is_all else {}
    weights = network_checks.weights_of(CASE, dtype)[0] if is_all else np.ones(CASE.m, dtype)
    race = Race(name, dtype, dropout=1 - KEEP if is_all else 0.0)
    history = race.net.fit(
        race.X, race.Y, STEPS // per_epoch, race.pair.rate, batch_size, seed=seed,
        optimizer=race.optimizer, sample_weight=weights if is_all else None, **options,
    )  # fmt: skip
    costs = []
    for columns, masks in steps_of(seed, batch_size, dropout=is_all):
        batch = race.X[:, columns], race.Y[:, columns]
        options |= {"sample_weight": weights[columns], "masks": masks}
        costs.append(race.twin.step(race.judge, *batch, **options))
    race.assert_costs(history.cost, np.reshape(costs, (-1, per_epoch)).mean(axis=1), name)
    race.assert_together("in the end")
    assert race.optimizer.steps == STEPS
