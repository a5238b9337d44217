"""Fit the polynomials of fastnn/_vector_math.pxi: Remez exchange in 60-digit arithmetic.

    python bench/fit_polynomials.py

prints each polynomial's coefficients, lowest power first, and its largest error.  Needs
mpmath (extra ``test``).  The exchange: solve for the polynomial whose error alternates
with equal size at degree + 2 points, move the points to the error's extremes, repeat.
"""

import mpmath as mp

mp.mp.dps = 60


def remez(function, low, high, degree, rounds=12, grid=4000):
    """Return the coefficients and the largest absolute error of the minimax polynomial."""
    low, high, n = mp.mpf(low), mp.mpf(high), degree + 2
    points = [(low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * i / (n - 1)) for i in range(n)]
    samples = [low + (high - low) * mp.mpf(i) / grid for i in range(grid + 1)]
    values = [function(x) for x in samples]
    for _ in range(rounds):
        equations = mp.matrix(n, n)
        for i, x in enumerate(points):
            for j in range(degree + 1):
                equations[i, j] = x**j
            equations[i, degree + 1] = (-1) ** i
        solution = mp.lu_solve(equations, mp.matrix([function(x) for x in points]))
        coefficients = list(solution[: degree + 1])
        errors = [v - mp.polyval(coefficients[::-1], x) for v, x in zip(values, samples)]
        points = _alternating_extremes(samples, errors, n) or points
    return coefficients, max(map(abs, errors))


def _alternating_extremes(samples, errors, count):
    """The `count` points, of alternating sign, at which the error is largest."""
    extremes = []
    for x, e in zip(samples, errors):
        if extremes and mp.sign(extremes[-1][1]) == mp.sign(e):
            if abs(e) > abs(extremes[-1][1]):
                extremes[-1] = (x, e)
        else:
            extremes.append((x, e))
    while len(extremes) > count:
        extremes.pop(0 if abs(extremes[0][1]) < abs(extremes[-1][1]) else -1)
    return [x for x, _ in extremes] if len(extremes) == count else None


def exp_remainder(r):
    """(exp(r) - 1 - r) / r^2."""
    return mp.fsum(r**k / mp.factorial(k + 2) for k in range(40))


def log_remainder(z):
    """(log((1 + s) / (1 - s)) - 2 s) / s^3 with z = s^2."""
    return mp.fsum(2 * z**k / (2 * k + 3) for k in range(60))


def main():
    half_ln2 = mp.log(2) / 2 * mp.mpf("1.001")  # a little more than rounding can leave
    s_max = (mp.sqrt(2) - 1) / (mp.sqrt(2) + 1) * mp.mpf("1.001")
    for title, function, low, high, degrees in (
        ("(exp(r) - 1 - r) / r^2", exp_remainder, -half_ln2, half_ln2, (4, 9)),
        ("(log((1 + s) / (1 - s)) - 2 s) / s^3, z = s^2", log_remainder, 0, s_max**2, (2, 6)),
    ):
        for name, degree in zip(("float32", "float64"), degrees):
            coefficients, error = remez(function, low, high, degree)
            print(f"{title}, {name}, degree {degree}, largest error {mp.nstr(error, 3)}")
            for c in coefficients:
                print("    " + mp.nstr(c, 9 if name == "float32" else 18))


if __name__ == "__main__":
    main()
