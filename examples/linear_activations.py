"""Why is a network of linear activations linear?

Two hidden layers of 8 linear units are trained on the flower, and then folded into one
layer without any: W = W3 W2 W1, b = W3 (W2 b1 + b2) + b3.  The outputs are the same.  With
tanh in the same places the network bends.
"""

import numpy as np
from _pictures import output_folder, save

import fastnn
from fastnn import datasets

folder = output_folder(__doc__)
X, Y = datasets.planar_flower()

linear = fastnn.MLP([2, 8, 8, 1], hidden="linear", seed=1)
linear.fit(X, Y, epochs=2000, learning_rate=0.1)

p = linear.parameters
folded = fastnn.MLP([2, 1])
folded.set_parameters(
    {
        "W1": p["W3"] @ p["W2"] @ p["W1"],
        "b1": p["W3"] @ (p["W2"] @ p["b1"] + p["b2"]) + p["b3"],
    }
)
difference = np.abs(linear.forward(X) - folded.forward(X)).max()

bent = fastnn.MLP([2, 8, 8, 1], hidden="tanh", seed=1)
bent.fit(X, Y, epochs=2000, learning_rate=0.5)

print("network                       parameters    accuracy")
for name, net in (
    ("2-8-8-1, linear", linear),
    ("2-1, the same folded", folded),
    ("2-8-8-1, tanh", bent),
):
    print(f"{name:<28} {net.parameter_vector.size:>11} {net.score(X, Y):>11.1%}")
print(
    f"\nThe outputs of the first two differ by at most {difference:.1e}, which is rounding:\n"
    f"{linear.parameter_vector.size} parameters say no more than "
    f"{folded.parameter_vector.size}, and the boundary stays a straight line."
)


def draw():
    from fastnn import plot

    left, right = plot.new_axes(columns=2, size=(5.0, 4.4))
    plot.plot_decision_boundary(linear, X, Y, left)
    left.set_title(f"2-8-8-1, linear: {linear.score(X, Y):.1%} right")
    plot.plot_decision_boundary(bent, X, Y, right)
    right.set_title(f"2-8-8-1, tanh: {bent.score(X, Y):.1%} right")
    return left.figure


save(draw, folder / "linear_activations.png")
