"""How to choose an activation and a hidden size: on a validation set.

Half of the flower's points train the networks, a quarter (the validation set) chooses among
them, and a quarter (the test set) is touched once, at the end, by the one that was chosen.
The winner's validation accuracy may flatter it, because it won on those very points; the
test accuracy does not.
"""

import numpy as np
from _pictures import output_folder, save

import fastnn
from fastnn import datasets

folder = output_folder(__doc__)
HIDDEN, SIZES = ("sigmoid", "tanh", "relu"), (1, 2, 4, 8, 16)
X, Y = datasets.planar_flower(1200)
labels = Y[0].astype(int)
train, rest = datasets.stratified_split(labels, test_share=0.5, seed=2)
halves = datasets.stratified_split(labels[rest], test_share=0.5, seed=2)
validation, test = (rest[half] for half in halves)

nets, accuracy = {}, {}
print(f"validation accuracy, {len(train)} points to train on, {len(validation)} to choose on")
print("hidden units " + "".join(f"{size:>8}" for size in SIZES))
for hidden in HIDDEN:
    for size in SIZES:
        net = fastnn.MLP([2, size, 1], hidden=hidden, seed=1)
        net.fit(X[:, train], Y[:, train], epochs=150, learning_rate=0.5, batch_size=50)
        nets[hidden, size] = net
        accuracy[hidden, size] = net.score(X[:, validation], Y[:, validation])
    print(f"{hidden:<13}" + "".join(f"{accuracy[hidden, size]:>8.1%}" for size in SIZES))

# Two networks that differ by less than the standard error differ by luck: take the smaller.
best = max(accuracy.values())
standard_error = np.sqrt(best * (1 - best) / len(validation))
hidden, size = min(
    (key for key in accuracy if accuracy[key] >= best - standard_error),
    key=lambda key: (key[1], -accuracy[key]),
)
chosen = nets[hidden, size]
on_train, on_test = (chosen.score(X[:, part], Y[:, part]) for part in (train, test))
print(
    f"\nThe best is {best:.1%}, with a standard error of {standard_error:.1%}; the smallest "
    f"network\nwithin it has {size} {hidden} units.  Its accuracy is {on_train:.1%} on the "
    f"training set, {accuracy[hidden, size]:.1%} on\nthe validation set, and {on_test:.1%} on "
    "the test set, the one number to report."
)


def draw():
    from fastnn import plot

    left, right = plot.new_axes(columns=2, size=(5.2, 4.4))
    for name, marker in zip(HIDDEN, "os^", strict=True):
        left.plot(SIZES, [accuracy[name, size] for size in SIZES], marker=marker, label=name)
    left.axhspan(best - standard_error, best, color="0.88", label="within one standard error")
    left.set_xscale("log", base=2)
    left.set_xticks(SIZES, [str(size) for size in SIZES])
    left.set(xlabel="hidden units", ylabel="validation accuracy", title="the choice")
    left.legend(loc="lower right")
    plot.plot_decision_boundary(chosen, X[:, test], Y[:, test], right)
    right.set_title(f"the chosen network ({size} {hidden} units) on the test set")
    return left.figure


save(draw, folder / "choose_on_validation.png")
