"""A for-loop over the examples, or all of them at once?

One column is one example, so W X + b computes Z for all columns in one product.  The loop
gives the same gradients, one example at a time, and takes far longer.
"""

import time

import numpy as np
from _pictures import output_folder, save

import fastnn
from fastnn import datasets

folder = output_folder(__doc__)
SIZES = (10, 30, 100, 300, 1000, 3000)
net = fastnn.MLP([2, 4, 1], seed=1)


def loop(X, Y):
    """The mean over the examples of dW1, db1, dW2, db2, one example at a time."""
    total = {name: np.zeros(np.shape(p), np.float64) for name, p in net.parameters.items()}
    m = X.shape[1]
    for j in range(m):
        J, gradients = net.gradients(X[:, j : j + 1], Y[:, j : j + 1])
        for name in total:
            total[name] += gradients[f"d{name}"] / m
    return total


def vectorised(X, Y):
    """The same in one call."""
    J, gradients = net.gradients(X, Y)
    return {name: gradients[f"d{name}"] for name in net.parameters}


def best_time(function, X, Y):
    """The best of three rounds, in milliseconds: the others were disturbed."""
    times = []
    for _ in range(3):
        started = time.perf_counter()
        function(X, Y)
        times.append(time.perf_counter() - started)
    return min(times) * 1e3


backend = fastnn.backend_info()["active"]
print(f"gradients of a 2-4-1 network on the {backend} backend, milliseconds")
print("  examples        loop   vectorised     ratio   largest difference")
times = []
for m in SIZES:
    X, Y = datasets.planar_flower(m)
    a, b = loop(X, Y), vectorised(X, Y)
    difference = max(np.abs(a[name] - b[name]).max() for name in a)
    slow, fast = best_time(loop, X, Y), best_time(vectorised, X, Y)
    times.append((slow, fast))
    print(f"  {m:>8,} {slow:>11.2f} {fast:>12.3f} {slow / fast:>8.0f} x {difference:>17.1e}")
print(
    "\nThe loop pays the cost of a call for every example, the vectorised form once; the\n"
    "gradients are the same but for rounding."
)


def draw():
    from fastnn import plot

    ax = plot.new_axes(size=(6.0, 4.2))
    slow, fast = np.transpose(times)
    ax.loglog(SIZES, slow, marker="o", color=plot.COLOURS[1], label="for-loop over the examples")
    ax.loglog(SIZES, fast, marker="s", color=plot.COLOURS[0], label="vectorised")
    ax.set(xlabel="examples", ylabel="milliseconds", title="gradients of a 2-4-1 network")
    ax.legend()
    return ax.figure


save(draw, folder / "loop_or_vectorised.png")
