"""Weights of classes and examples in `fit`: as so many copies, or as if absent."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import harness

import fastnn


def labelled(output, m=40, dtype="float64"):
    """A network for three classes, or for a yes or no, with examples of each."""
    rng = np.random.default_rng(0)
    n = 3 if output == "softmax" else 1
    net = fastnn.MLP([4, 5, n], output=output, seed=1, dtype=dtype)
    labels = rng.choice(max(n, 2), m, p=[0.6, 0.3, 0.1] if n == 3 else [0.8, 0.2])
    return net, rng.normal(size=(4, m)).astype(dtype), labels


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
@pytest.mark.parametrize("optimizer", ["gradient_descent", "adam", "lbfgs"])
def test_a_weight_is_so_many_copies(backend, dtype, output, optimizer):
    """Class 1 three times, class 2 not at all, and class 0, which is not named, once."""
    net, X, labels = labelled(output, dtype=dtype)
    twin, _, _ = labelled(output, dtype=dtype)
    copies = np.array([1, 3, 0])[labels]
    weights = {1: 3, 2: 0.0} if output == "softmax" else {1: 3}
    history = net.fit(X, labels, epochs=5, optimizer=optimizer, class_weight=weights)
    again = twin.fit(X.repeat(copies, axis=1), labels.repeat(copies), epochs=5, optimizer=optimizer)
    harness.assert_norm_within(
        "trace", history.cost.astype(dtype), again.cost.astype(dtype), "costs"
    )
    harness.assert_norm_within("trace", net.parameter_vector, twin.parameter_vector, "end")


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_balanced(backend, output):
    """m / (classes * examples of the class), written out; all classes have the same say."""
    net, X, labels = labelled(output)
    twin, _, _ = labelled(output)
    counts = np.bincount(labels)
    weights = {c: len(labels) / (len(counts) * count) for c, count in enumerate(counts)}
    net.fit(X, labels, epochs=5, class_weight="balanced")
    twin.fit(X, labels, epochs=5, sample_weight=[weights[c] for c in labels])
    harness.assert_same_bits(net.parameter_vector, twin.parameter_vector)


def test_a_class_without_examples_does_not_count(backend):
    net, X, labels = labelled("softmax")
    twin, _, _ = labelled("softmax")
    labels = labels.clip(0, 1)
    counts = np.bincount(labels)
    net.fit(X, labels, epochs=5, class_weight="balanced")
    twin.fit(X, labels, epochs=5, sample_weight=[40 / (2 * counts[c]) for c in labels])
    harness.assert_same_bits(net.parameter_vector, twin.parameter_vector)


def test_both_kinds_multiply(backend):
    net, X, labels = labelled("softmax")
    twin, _, _ = labelled("softmax")
    own, of_classes = np.linspace(0, 2, 40), {0: 0.5, 1: 2.0, 2: 3.0}
    options = {"epochs": 5, "batch_size": 8}
    net.fit(X, labels, sample_weight=own, class_weight=of_classes, **options)
    twin.fit(X, labels, sample_weight=own * [of_classes[c] for c in labels], **options)
    harness.assert_norm_within("trace", net.parameter_vector, twin.parameter_vector, "end")


def test_one_hot_columns_have_classes_too(backend):
    net, X, labels = labelled("softmax")
    twin, _, _ = labelled("softmax")
    net.fit(X, labels, epochs=2, class_weight={2: 5})
    twin.fit(X, np.eye(3)[:, labels], epochs=2, class_weight={2: 5})
    harness.assert_same_bits(net.parameter_vector, twin.parameter_vector)


def test_weights_of_one_are_none(backend):
    net, X, labels = labelled("sigmoid")
    twin, _, _ = labelled("sigmoid")
    net.fit(X, labels, epochs=5, class_weight={})
    twin.fit(X, labels, epochs=5)
    harness.assert_norm_within("trace", net.parameter_vector, twin.parameter_vector, "end")


def test_the_classes_are_those_that_train(backend):
    """What is held out does not count in "balanced", and is not weighted."""
    net, X, labels = labelled("softmax")
    twin, _, _ = labelled("softmax")
    training, held_out = fastnn.validation.hold_out(0.4, labels, 40, np.random.default_rng(7))
    options = {"epochs": 3, "class_weight": "balanced"}
    history = net.fit(X, labels, validation_fraction=0.4, seed=7, **options)
    data = X[:, held_out], labels[held_out]
    again = twin.fit(X[:, training], labels[training], validation_data=data, **options)
    harness.assert_same_bits(net.parameter_vector, twin.parameter_vector)
    harness.assert_same_bits(history.validation_cost, again.validation_cost)
    assert history.validation_cost[-1] == pytest.approx(net.cost(*data), rel=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=12, max_size=12).filter(any))
def test_whole_numbers_as_weights(weights):
    """Any whole weights are so many copies, in one step on all examples."""
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(2, 12)), rng.normal(size=(1, 12))
    ends = []
    for copies in (None, weights):
        net = fastnn.MLP([2, 3, 1], output="linear", dtype="float64")
        if copies is None:
            net.fit(X, Y, epochs=2, sample_weight=weights)
        else:
            net.fit(X.repeat(copies, axis=1), Y.repeat(copies, axis=1), epochs=2)
        ends.append(net.parameter_vector.copy())
    harness.assert_norm_within("trace", *ends, "end")
