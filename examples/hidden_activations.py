"""Which activation for the hidden layers: sigmoid, tanh or relu?

The same networks learn the digits with each, once with one hidden layer and once with
eight.  Before training, the mean activation of each layer and the size of its gradient show
what will happen: the derivative of the sigmoid is at most 1/4, so a gradient shrinks at
every layer on its way back, and the first layers of a deep network hear nothing.
"""

import numpy as np
from _pictures import output_folder, save

import fastnn
from fastnn import datasets

folder = output_folder(__doc__)
DEPTH, WIDTH, EPOCHS = 8, 64, 20
X, labels = datasets.load_digits()
Y = datasets.one_hot(labels)
train, test = datasets.stratified_split(labels, test_share=0.2, seed=1)

means, sizes, histories = {}, {}, {}
print("                     mean activation    gradient size (rms of dW)    held-out accuracy")
print(f"hidden layers         first     last        first         last      after {EPOCHS} epochs")
for depth in (1, DEPTH):
    for hidden in ("sigmoid", "tanh", "relu"):
        net = fastnn.MLP([64, *[WIDTH] * depth, 10], hidden=hidden, output="softmax", seed=1)

        A, cache = net.forward(X[:, train], cache=True)
        J, gradients = net.gradients(X[:, train], Y[:, train])
        mean = [cache[f"A{l}"].mean() for l in range(1, depth + 1)]
        size = [np.sqrt(np.mean(gradients[f"dW{l}"] ** 2)) for l in range(1, depth + 1)]

        history = net.fit(X[:, train], Y[:, train], epochs=EPOCHS, learning_rate=0.1, batch_size=32)
        accuracy = net.score(X[:, test], labels[test])
        print(
            f"{depth} of {WIDTH}, {hidden:<10} {mean[0]:>8.3f} {mean[-1]:>8.3f} "
            f"{size[0]:>12.1e} {size[-1]:>12.1e} {accuracy:>15.1%}"
        )
        means[hidden], sizes[hidden], histories[hidden] = mean, size, history

share = {hidden: size[0] / size[-1] for hidden, size in sizes.items()}
print(
    f"\nWith {DEPTH} hidden layers the gradient of the first, as a multiple of that of the last,\n"
    f"is {share['sigmoid']:.1e} with sigmoid, {share['tanh']:.1f} with tanh and "
    f"{share['relu']:.1f} with relu.  With sigmoid it vanishes,\nand the deep network does not "
    "learn.  The mean of tanh stays near 0, that of sigmoid near\n0.5, that of relu above 0."
)


def draw():
    from fastnn import plot

    left, middle, right = plot.new_axes(columns=3, size=(4.4, 3.8))
    layer = np.arange(1, DEPTH + 1)
    for hidden, marker in (("sigmoid", "o"), ("tanh", "s"), ("relu", "^")):
        left.plot(layer, means[hidden], marker=marker, label=hidden)
        middle.plot(layer, sizes[hidden], marker=marker, label=hidden)
        plot.plot_cost(histories[hidden], right, hidden)
    left.set(xlabel="hidden layer", ylabel="mean activation", title="mean activation at the start")
    middle.set(xlabel="hidden layer", ylabel="rms of dW", title="gradient size at the start")
    middle.set_yscale("log")
    right.set_title(f"training, {DEPTH} hidden layers")
    for ax in (left, middle):
        ax.legend()
    return left.figure


save(draw, folder / "hidden_activations.png")
