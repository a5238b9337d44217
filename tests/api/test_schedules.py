"""Schedules: the learning rate of every step, against formulas written out here once more."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import harness

import fastnn
from fastnn import datasets, schedules
from fastnn.schedules import SCHEDULES

NAMES = tuple(SCHEDULES)


def flower(dtype="float64", **options):
    X, Y = datasets.planar_flower(100)
    return fastnn.MLP([2, 4, 1], seed=1, dtype=dtype, **options), X.astype(dtype), Y.astype(dtype)


def by_hand(net, X, Y, rates, batch_size, optimizer):
    """Train with these learning rates, step by step; return the mean cost of each epoch."""
    starts = range(0, X.shape[1], batch_size)
    batches = [slice(start, start + batch_size) for start in starts]
    costs = [
        net.step(X[:, b], Y[:, b], rate, optimizer=optimizer)
        for rate, b in zip(rates, batches * (len(rates) // len(batches)), strict=True)
    ]
    return np.reshape(costs, (-1, len(batches))).mean(axis=1)


def test_the_table_lists_what_type_checkers_know():
    from typing import get_args

    assert get_args(schedules.ScheduleName) == NAMES
    for name, row in SCHEDULES.items():
        assert row.name == name and row.formula and row.__doc__
        assert schedules.resolve(name).factors(np.arange(3.0), 9).shape == (3,)


# --- formulas -----------------------------------------------------------------------------

CASES = {
    "constant": (schedules.Constant(), lambda t, T: 1.0),
    "inverse_scaling": (schedules.InverseScaling(0.25), lambda t, T: 1 / (t + 1) ** 0.25),
    "step": (schedules.Step(every=3, factor=0.2), lambda t, T: 0.2 ** (t // 3)),
    "step of a third": (schedules.Step(), lambda t, T: 0.1 ** (t // math.ceil(T / 3))),
    "exponential": (schedules.Exponential(0.05), lambda t, T: 0.05 ** (t / T)),
    "cosine": (
        schedules.Cosine(final=0.1),
        lambda t, T: 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * min(t, T) / T)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("T", [1, 2, 7, 30])
@pytest.mark.parametrize("warmup", [0, 1, 4])
def test_formulas(name, T, warmup):
    schedule, formula = CASES[name]
    schedule = type(schedule)(**{k: v for k, v in vars(schedule).items() if k != "warmup"})
    schedule.warmup = warmup
    factors = schedule.factors(np.arange(T + warmup + 5.0), T + warmup)
    wanted = [(t + 1) / warmup for t in range(warmup)]
    wanted += [formula(t, T) for t in range(T + 5)]
    np.testing.assert_allclose(factors, wanted, rtol=1e-14, atol=1e-16)


def test_one_cycle_has_the_values_of_the_field():
    """Those of PyTorch's OneCycleLR(max_lr=1, total_steps=10), to the digits it prints."""
    up = [0.04, 0.52, 1.0]  # half a wave over steps 0, 1, 2: 0.3 * 10 - 1 is the peak
    down = [4e-6 + (1 - 4e-6) * (1 + math.cos(math.pi * s / 7)) / 2 for s in range(1, 8)]
    factors = schedules.OneCycle().factors(np.arange(10.0), 10)
    np.testing.assert_allclose(factors, up + down, rtol=1e-12)
    assert factors[-1] == pytest.approx(4e-6, rel=1e-9)


@given(
    st.sampled_from([n for n in NAMES if n != "one_cycle"]), st.integers(0, 50), st.integers(1, 200)
)
def test_factors_stay_in_the_unit_interval(name, warmup, length):
    factors = SCHEDULES[name](warmup=warmup).factors(np.arange(length + 10.0), length)
    assert (factors >= 0).all() and (factors <= 1).all()
    assert (np.diff(factors[:warmup]) > 0).all() and (np.diff(factors[warmup:]) <= 0).all()


@given(st.integers(1, 300), st.floats(0.05, 0.95))
def test_one_cycle_goes_up_and_down(length, peak):
    factors = schedules.OneCycle(peak=peak).factors(np.arange(float(length)), length)
    top = int(factors.argmax())
    assert (factors > 0).all() and (factors <= 1).all()
    assert (np.diff(factors[: top + 1]) > 0).all() and (np.diff(factors[top:]) < 0).all()


# --- in a training ------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in NAMES if n != "reduce_on_plateau"])
@pytest.mark.parametrize("optimizer", ["gradient_descent", "adam", "momentum"])
@pytest.mark.parametrize("batch_size", [None, 30])
def test_a_training_is_its_steps_by_hand(backend, dtype, name, optimizer, batch_size):
    """Each step has its rate; with a warm-up too where there is one."""
    options = {} if name == "one_cycle" else {"warmup": 3}
    schedule = SCHEDULES[name](**options)
    net, X, Y = flower(dtype)
    twin, _, _ = flower(dtype)
    history = net.fit(
        X, Y, epochs=6, learning_rate=0.1, optimizer=optimizer, schedule=schedule,
        batch_size=batch_size, shuffle=False,
    )  # fmt: skip
    steps = 4 if batch_size else 1
    rates = 0.1 * schedule.factors(np.arange(6.0 * steps), 6 * steps)
    used = fastnn.optimizers.resolve(optimizer)
    costs = by_hand(twin, X, Y, rates, batch_size or 100, used)
    harness.assert_norm_within("trace", history.cost, costs, "costs")
    harness.assert_norm_within("trace", net.parameter_vector, twin.parameter_vector, "end")
    assert history.learning_rate.shape == (6,) and history.learning_rate.dtype == np.float64
    np.testing.assert_array_equal(history.learning_rate, rates[steps - 1 :: steps])


@pytest.mark.parametrize("calls", [(1e-9, 1 << 18), (10.0, 1 << 18), (10.0, 1)])
def test_chunks_of_the_loop_do_not_show(backend, calls, monkeypatch):
    from fastnn import loop

    ends = []
    for seconds, elements in ((0.15, 1 << 18), calls):
        monkeypatch.setattr(loop, "CALL_SECONDS", seconds)
        monkeypatch.setattr(loop, "ORDER_ELEMENTS", elements)
        net, X, Y = flower()
        history = net.fit(X, Y, epochs=20, schedule="one_cycle", optimizer="adam", batch_size=16)
        ends.append((net.parameter_vector.tobytes(), history.learning_rate.tobytes()))
    assert ends[0] == ends[1]


def test_a_function_returns_the_rate_itself(backend):
    seen = []

    def schedule(t):
        seen.append(t)
        return 0.5 / (1 + t)

    net, X, Y = flower()
    twin, _, _ = flower()
    history = net.fit(X, Y, epochs=5, schedule=schedule, batch_size=50, shuffle=False)
    assert seen == list(range(10)) and set(map(type, seen)) == {int}
    rates = [0.5 / (1 + t) for t in range(10)]
    by_hand(twin, X, Y, rates, 50, "gradient_descent")
    harness.assert_norm_within("trace", net.parameter_vector, twin.parameter_vector, "end")
    np.testing.assert_array_equal(history.learning_rate, rates[1::2])


def test_a_rate_of_zero_stands_still(backend):
    net, X, Y = flower()
    before = net.parameter_vector.copy()
    net.fit(X, Y, epochs=3, schedule=lambda t: 0.0, optimizer="adam")
    assert net.parameter_vector.tobytes() == before.tobytes()


def test_constant_is_no_schedule(backend):
    net, X, Y = flower()
    twin, _, _ = flower()
    plain = net.fit(X, Y, epochs=5, optimizer="adam")
    history = twin.fit(X, Y, epochs=5, optimizer="adam", schedule="constant")
    assert net.parameter_vector.tobytes() == twin.parameter_vector.tobytes()
    for learning_rate in (plain.learning_rate, history.learning_rate):
        np.testing.assert_array_equal(learning_rate, np.full(5, 1e-3))


@pytest.mark.parametrize(
    "schedule",
    [schedules.Cosine(length=12, warmup=2), schedules.Step(every=3), lambda t: 0.1 / (t + 1),
     schedules.InverseScaling(), schedules.Exponential(length=12), schedules.OneCycle(length=12)],
    ids=["cosine", "step", "function", "inverse_scaling", "exponential", "one_cycle"],
)  # fmt: skip
def test_an_optimizer_goes_on_with_its_schedule(backend, schedule):
    """12 epochs are 5 and 7 where the schedule has a length of its own: the optimizer counts."""
    whole, X, Y = flower()
    parts, _, _ = flower()
    rate = whole.fit(X, Y, epochs=12, schedule=schedule, optimizer="adam").learning_rate
    optimizer = fastnn.optimizers.Adam()
    pieces = [
        parts.fit(X, Y, epochs=n, schedule=schedule, optimizer=optimizer).learning_rate
        for n in (5, 7)
    ]
    np.testing.assert_array_equal(np.concatenate(pieces), rate)
    assert parts.parameter_vector.tobytes() == whole.parameter_vector.tobytes()


def test_without_a_length_it_is_that_of_each_training(backend):
    net, X, Y = flower()
    optimizer = fastnn.optimizers.Adam()
    rates = [
        net.fit(X, Y, epochs=4, schedule="cosine", optimizer=optimizer).learning_rate
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*rates)
    assert optimizer.steps == 8


# --- reduce on plateau --------------------------------------------------------------------


def plateau_by_hand(costs, factor, patience, threshold, minimum, rate):
    """PyTorch's ReduceLROnPlateau(mode="min", threshold_mode="rel"), from its description."""
    best, bad, rates = math.inf, 0, []
    for cost in costs:
        rates.append(rate)
        if cost < best * (1 - threshold):
            best, bad = cost, 0
        else:
            bad += 1
        if bad > patience:
            rate, bad = max(rate * factor, minimum), 0
    return rates


@given(
    st.lists(st.floats(0.125, 1.0, width=16), min_size=1, max_size=60),
    st.sampled_from([0.1, 0.5]), st.integers(0, 4), st.sampled_from([0.0, 1e-4, 0.1]),
    st.sampled_from([0.0, 0.02]),
)  # fmt: skip
def test_plateaus(costs, factor, patience, threshold, minimum):
    schedule = schedules.ReduceOnPlateau(factor, patience, threshold, minimum)
    rates = []
    for t, cost in enumerate(costs):
        rates.append(0.5 * schedule.factors(np.array([float(t)]), 99)[0])
        schedule.observe(cost, 0.5)
    wanted = plateau_by_hand(costs, factor, patience, threshold, minimum, 0.5)
    np.testing.assert_allclose(rates, wanted, rtol=1e-12)


@pytest.mark.parametrize("validates", [True, False])
def test_a_training_with_plateaus(backend, validates):
    """It looks at the validation cost where there is one, else at the cost."""
    net, X, Y = flower()
    options = {"validation_data": (X[:, ::3], Y[:, ::3])} if validates else {}
    schedule = schedules.ReduceOnPlateau(patience=2, factor=0.5, threshold=0.01)
    history = net.fit(
        X, Y, epochs=60, learning_rate=0.5, optimizer="adam", schedule=schedule, **options
    )
    costs = history.validation_cost if validates else history.cost
    wanted = plateau_by_hand(costs, 0.5, 2, 0.01, 0.0, 0.5)
    np.testing.assert_allclose(history.learning_rate, wanted, rtol=1e-12)
    assert history.learning_rate[-1] < 0.5, "it was reduced at all"


def test_plateaus_go_on_and_come_back(backend):
    """12 epochs are 5 and 7; after an error or Ctrl-C the schedule is as it was."""
    ends = []
    for parts in ((12,), (5, 7), (5, "error", 7), (5, "ctrl-c", 5)):
        net, X, Y = flower()
        optimizer, schedule = fastnn.optimizers.Adam(), schedules.ReduceOnPlateau(patience=0)
        options = {"optimizer": optimizer, "schedule": schedule, "learning_rate": 2.0}
        for part in parts:
            if part == "error":
                with pytest.raises(RuntimeError):
                    net.fit(X, Y, epochs=9, callbacks=raising(RuntimeError, 4), **options)
            elif part == "ctrl-c":
                with pytest.raises(KeyboardInterrupt):
                    net.fit(X, Y, epochs=9, callbacks=raising(KeyboardInterrupt, 2), **options)
            else:
                net.fit(X, Y, epochs=part, **options)
        ends.append((net.parameter_vector.tobytes(), schedule.state, optimizer.steps))
    assert ends[0][1][2] < 1, "it was reduced at all"
    assert ends.count(ends[0]) == 4


def raising(error, at):
    def callback(epoch, history):
        if epoch == at:
            raise error

    return callback
