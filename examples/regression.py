"""How does a network learn numbers instead of classes?

With a linear output and the mean squared error.  Where a target cannot be negative, a relu
output says so: the power of a solar panel is 0 at night, and a linear output goes below.
"""

import numpy as np
from _pictures import output_folder, save

import fastnn

folder = output_folder(__doc__)
random = np.random.default_rng(1)

# --- any value: a linear output ----------------------------------------------------------

x = np.sort(random.uniform(-3, 3, (1, 200)))
y = np.sin(2 * x) + 0.3 * x + 0.1 * random.standard_normal(x.shape)
curve = fastnn.MLP([1, 16, 16, 1], hidden="tanh", output="linear", seed=1)
curve.fit(x, y, epochs=600, learning_rate=0.1, batch_size=10)
ceiling = 1 - 0.1**2 / y.var()  # of R2, since nothing predicts the noise
print("y = sin(2x) + 0.3x + 0.1 N(0, 1), a 1-16-16-1 network with a linear output:")
print(f"  R2 = {curve.score(x, y):.3f}, and the true curve itself would get {ceiling:.3f}")

# --- never below 0: a relu output --------------------------------------------------------

hour = np.sort(random.uniform(0, 24, (1, 300)))
sun = np.maximum(0, np.cos((hour - 13) / 24 * 2 * np.pi))
power = sun * (1 + 0.1 * random.standard_normal(hour.shape))  # kilowatts
x_hour = (hour - 12) / 6  # inputs of about unit size train well

nets = {}
print("\nsolar power by the hour, 1-8-1   R2      lowest output   nights below 0")
for output in ("linear", "relu"):
    net = fastnn.MLP([1, 8, 1], hidden="tanh", output=output, seed=1)
    # A relu that is 0 for all examples has no gradient and never wakes; from the mean of
    # the targets it starts above 0.
    net.parameters["b2"][...] = power.mean()
    net.fit(x_hour, power, epochs=4000, learning_rate=0.1)
    answer = net.predict(x_hour)
    night = power == 0
    print(
        f"  {output:<6} output {net.score(x_hour, power):>20.3f} {answer.min():>14.3f} kW "
        f"{np.mean(answer[night] < 0):>14.0%}"
    )
    nets[output] = net
print(
    "\nBoth fit the day.  At night the linear output wavers around 0 and reports negative power;\n"
    "the relu output is 0 there, by construction."
)


def draw():
    from fastnn import plot

    left, right = plot.new_axes(columns=2, size=(5.2, 4.0))
    left.scatter(x, y, s=10, color="0.6", label="examples")
    line = np.linspace(-3, 3, 300)[np.newaxis]
    left.plot(line[0], curve.predict(line)[0], color=plot.COLOURS[1], linewidth=2, label="network")
    left.set(xlabel="x", ylabel="y", title="linear output")
    right.scatter(hour, power, s=10, color="0.6", label="examples")
    line = np.linspace(0, 24, 400)[np.newaxis]
    for (output, net), style in zip(nets.items(), ("--", "-"), strict=True):
        colour = plot.COLOURS[0 if output == "linear" else 1]
        answer = net.predict((line - 12) / 6)
        right.plot(line[0], answer[0], style, color=colour, linewidth=2, label=f"{output} output")
    right.set(xlabel="hour", ylabel="power (kW)", title="targets that are never negative")
    right.set_xticks(range(0, 25, 6))
    for ax in (left, right):
        ax.legend()
    return left.figure


save(draw, folder / "regression.png")
