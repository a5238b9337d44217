"""How to choose an activation and a hidden size: on validation sets.

A quarter of the flower's points (the test set) is put away.  The rest is split ten times, at
random, into points to train on and a third to choose on (the validation set); every
candidate is trained on each split, from other first weights.  One split alone would crown
whoever is lucky on it: the spread over the ten says which differences mean anything.  The
candidate that was chosen is trained once more on all of the rest, and judged on the test
set, which is touched once, at the end.
"""

import numpy as np
from _pictures import output_folder, save

import fastnn
from fastnn import datasets

folder = output_folder(__doc__)
HIDDEN, SIZES, SPLITS = ("sigmoid", "tanh", "relu"), (1, 2, 3, 4, 8, 16), 10
X, Y = datasets.planar_flower(2400)
labels = Y[0].astype(int)
rest, test = datasets.stratified_split(labels, test_share=0.25, seed=1)


def trained(hidden, size, columns, seed):
    """A 2-size-1 network, trained on some of the examples."""
    net = fastnn.MLP([2, size, 1], hidden=hidden, seed=seed)
    epochs = 400_000 // len(columns)  # about as many steps, however many the examples
    net.fit(X[:, columns], Y[:, columns], epochs=epochs, learning_rate=1.0, batch_size=50)
    return net


def validation_accuracy(hidden, size, seed):
    """The accuracy on a third of the rest, after training on the other two."""
    train, validation = (
        rest[part] for part in datasets.stratified_split(labels[rest], test_share=1 / 3, seed=seed)
    )
    return trained(hidden, size, train, seed).score(X[:, validation], Y[:, validation])


accuracy = {}
print(f"validation accuracy over {SPLITS} splits: mean, and standard deviation of one split")
print("hidden units  " + "".join(f"{size:>6}       " for size in SIZES).rstrip())
for hidden in HIDDEN:
    for size in SIZES:
        accuracy[hidden, size] = [validation_accuracy(hidden, size, s) for s in range(SPLITS)]
    row = [accuracy[hidden, size] for size in SIZES]
    print(f"{hidden:<13}" + "".join(f"{np.mean(a):>7.1%} {np.std(a, ddof=1):>5.1%}" for a in row))

# The splits share their points, so the standard error of the mean over them is too small;
# the standard deviation of one split is the honest, wider bar.  Within it of the best, take
# the smallest: more units have not shown that they are worth it.
mean = {key: np.mean(values) for key, values in accuracy.items()}
best = max(mean, key=mean.get)
spread = np.std(accuracy[best], ddof=1)
hidden, size = min(
    (key for key in mean if mean[key] >= mean[best] - spread), key=lambda key: (key[1], -mean[key])
)
chosen = trained(hidden, size, rest, seed=SPLITS)
on_rest, on_test = (chosen.score(X[:, part], Y[:, part]) for part in (rest, test))
error = np.sqrt(on_test * (1 - on_test) / len(test))
step = max(abs(mean[h, 2] - mean[h, 1]) / np.std(accuracy[h, 1], ddof=1) for h in HIDDEN)
print(
    f"\nThe best is {best[0]} with {best[1]} units: {mean[best]:.1%}, give or take {spread:.1%} "
    f"from split to split.\nThe smallest network within that has {size} {hidden} units "
    f"({mean[hidden, size]:.1%}).  Trained on all points but\nthe test set it is right for "
    f"{on_rest:.1%} of them, and for {on_test:.1%} of the test set (standard error\n{error:.1%}): "
    "the one number to report.\nFrom one unit to two no mean moves by more than "
    f"{step:.1f} standard deviations of one split: on a\nsingle split neither a rise nor a "
    "fall there can be told from luck."
)


def draw():
    from fastnn import plot

    left, right = plot.new_axes(columns=2, size=(5.2, 4.4))
    for i, (name, marker) in enumerate(zip(HIDDEN, "os^", strict=True)):
        left.errorbar(
            np.array(SIZES) * 1.05 ** (i - 1),  # side by side
            [mean[name, size] for size in SIZES],
            [np.std(accuracy[name, size], ddof=1) for size in SIZES],
            marker=marker,
            capsize=3,
            label=name,
        )
    left.axhspan(mean[best] - spread, mean[best], color="0.88", label="within the best's spread")
    left.set_xscale("log", base=2)
    left.set_xticks(SIZES, [str(size) for size in SIZES])
    left.set(xlabel="hidden units", ylabel="validation accuracy", ylim=(0.42, 0.95))
    left.set_title(f"{SPLITS} splits: mean and standard deviation", fontsize=10)
    left.legend(loc="lower right")
    plot.plot_decision_boundary(chosen, X[:, test], Y[:, test], right)
    right.set_title(f"the chosen network ({size} {hidden} units) on the test set", fontsize=10)
    return left.figure


save(draw, folder / "choose_on_validation.png")
