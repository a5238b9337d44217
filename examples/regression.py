"""How does a network learn numbers instead of classes?

With a linear output and the mean squared error, judged on examples that it has not seen.
Where a target cannot be negative, a relu output says so: the power of a solar panel is 0 at
night, and a linear output goes below.  The price: a relu output that has become 0 for every
example has no gradient, and stays so.
"""

import numpy as np
from _pictures import output_folder, save

import fastnn

folder = output_folder(__doc__)
random = np.random.default_rng(1)

# --- any value: a linear output ----------------------------------------------------------


def wave(m):
    """y = sin(2x) + 0.3x + 0.1 N(0, 1)"""
    x = np.sort(random.uniform(-3, 3, (1, m)))
    return x, np.sin(2 * x) + 0.3 * x + 0.1 * random.standard_normal(x.shape)


x, y = wave(200)
x_test, y_test = wave(1000)
curve = fastnn.MLP([1, 16, 16, 1], hidden="tanh", output="linear", seed=1)
curve.fit(x, y, epochs=600, learning_rate=0.1, batch_size=10)
ceiling = 1 - 0.1**2 / y_test.var()  # of R2, since nothing predicts the noise
print(f"{wave.__doc__}, a 1-16-16-1 network with a linear output, 200 examples:")
print(
    f"  R2 = {curve.score(x, y):.3f} on them, {curve.score(x_test, y_test):.3f} on 1000 new ones; "
    f"the true curve itself would get {ceiling:.3f}"
)

# --- never below 0: a relu output --------------------------------------------------------

STARTS = 10


def solar(m):
    """Hours of the day, and the power of a panel in kilowatts, which varies by a tenth."""
    hour = np.sort(random.uniform(0, 24, (1, m)))
    sun = np.maximum(0, np.cos((hour - 13) / 24 * 2 * np.pi))
    return hour, sun * (1 + 0.1 * random.standard_normal(hour.shape))


def scaled(hour):
    """Inputs of about unit size train well."""
    return (hour - 12) / 6


def trained(output, seed):
    net = fastnn.MLP([1, 8, 1], hidden="tanh", output=output, seed=seed)
    # A relu that is 0 for all examples never wakes; from the mean of the targets it starts
    # above 0, which helps but does not promise anything.
    net.parameters["b2"][...] = power.mean()
    net.fit(scaled(hour), power, epochs=500, learning_rate=0.1, batch_size=20)
    return net


hour, power = solar(300)
hour_test, power_test = solar(1000)
night = power_test == 0
nets, failed = {}, {}
print(f"\nsolar power by the hour, 1-8-1, {STARTS} starts, judged on 1000 new hours of the day")
print("                   R2: median, and range     lowest answer   nights below 0   failed")
for output in ("linear", "relu"):
    starts = [trained(output, seed) for seed in range(STARTS)]
    answers = [net.predict(scaled(hour_test)) for net in starts]
    R2 = [net.score(scaled(hour_test), power_test) for net in starts]
    alive = [i for i in range(STARTS) if R2[i] > 0]  # the others are worse than a constant
    failed[output] = STARTS - len(alive)
    middle = sorted(alive, key=lambda i: R2[i])[len(alive) // 2]
    nets[output] = starts[middle]
    lowest = min(answers[i].min() for i in alive)
    below = np.mean([np.mean(answers[i][night] < 0) for i in alive])
    print(
        f"  {output:<6} output {R2[middle]:>9.3f}  ({min(R2[i] for i in alive):.3f} to "
        f"{max(R2[i] for i in alive):.3f}) {lowest:>11.3f} kW {below:>12.0%} "
        f"{failed[output]:>15}"
    )
print(
    "\nAt night the linear output wavers around 0 and reports negative power; the relu output is\n"
    "0 there, by construction, which leaves the network its units for the day.  The price:\n"
    f"{failed['relu']} of {STARTS} starts failed with relu, {failed['linear']} with linear.  A "
    "relu output that is 0 has no gradient\nand may stay so; such a start (R2 below 0) is left out "
    "of the other columns."
)


def draw():
    from fastnn import plot

    left, right = plot.new_axes(columns=2, size=(5.2, 4.0))
    left.scatter(x_test, y_test, s=4, color="0.75", label="new examples")
    line = np.linspace(-3, 3, 300)[np.newaxis]
    left.plot(line[0], curve.predict(line)[0], color=plot.COLOURS[1], linewidth=2, label="network")
    left.set(xlabel="x", ylabel="y", title="linear output")
    right.scatter(hour_test, power_test, s=4, color="0.75", label="new examples")
    line = np.linspace(0, 24, 400)[np.newaxis]
    for (output, net), style in zip(nets.items(), ("--", "-"), strict=True):
        colour = plot.COLOURS[0 if output == "linear" else 1]
        answer = net.predict(scaled(line))
        right.plot(line[0], answer[0], style, color=colour, linewidth=2, label=f"{output} output")
    right.set(xlabel="hour", ylabel="power (kW)", title="targets that are never negative")
    right.set_xticks(range(0, 25, 6))
    for ax in (left, right):
        ax.legend()
    return left.figure


save(draw, folder / "regression.png")
