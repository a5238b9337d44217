"""Why does zero initialisation never break the symmetry?

A 2-4-1 network is trained on the flower from three starts: all weights zero, all weights
equal to 0.5, and small random weights.  Units that start equal get equal gradients, so
they stay equal for ever, and four of them can do no more than one.
"""

import numpy as np
from _pictures import output_folder, save

import fastnn
from fastnn import datasets

folder = output_folder(__doc__)
X, Y = datasets.planar_flower()

nets = {
    "all zero": fastnn.MLP([2, 4, 1], hidden="tanh", init="zeros"),
    "all 0.5": fastnn.MLP([2, 4, 1], hidden="tanh", init="zeros"),
    "0.01 N(0, 1)": fastnn.MLP([2, 4, 1], hidden="tanh", init=0.01, seed=1),
}
for name in ("W1", "W2"):
    nets["all 0.5"].parameters[name][...] = 0.5

# With zeros the first gradients say it already: A1 = tanh(0) = 0 stops that of W2, and W2 = 0
# stops those of W1 and b1.  Only b2 could learn, and it is right as it is, because the two
# classes have equally many points.
J, gradients = nets["all zero"].gradients(X, Y)
print("gradients at the zero start:")
for name, gradient in gradients.items():
    print(f"  {name}  largest magnitude {np.abs(gradient).max():.1e}")

print("\nafter 2000 steps of full-batch gradient descent:")
print("  start          different hidden units    cost    accuracy")
for start, net in nets.items():
    history = net.fit(X, Y, epochs=2000, learning_rate=1.2)
    units = np.hstack([net.parameters["W1"], net.parameters["b1"], net.parameters["W2"].T])
    different = len(np.unique(units, axis=0))
    print(f"  {start:<14} {different:>14} of 4 {history.cost[-1]:>14.3f} {net.score(X, Y):>10.1%}")

print(
    "\nFrom zero nothing moves.  From equal weights the four units move together, as one unit\n"
    "would.  A little noise makes them different, and each finds a boundary of its own."
)


def draw():
    from fastnn import plot

    axes = plot.new_axes(columns=3, size=(4.2, 4.0))
    for ax, (start, net) in zip(axes, nets.items(), strict=True):
        plot.plot_decision_boundary(net, X, Y, ax)
        ax.set_title(f"weights start {start}: {net.score(X, Y):.1%} right", fontsize=10)
    return axes[0].figure


save(draw, folder / "zero_initialisation.png")
