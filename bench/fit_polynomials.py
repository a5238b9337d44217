"""Fit the polynomials of fastnn/_polynomials.py: Remez exchange in 60-digit arithmetic.

    python bench/fit_polynomials.py

prints each polynomial's coefficients, lowest power first, and its largest error.  Needs
mpmath (extra ``test``).  The exchange: solve for the polynomial, or the quotient of two,
whose error alternates with equal size at as many points as it has coefficients and one
more, move the points to the error's extremes, repeat.
"""

import mpmath as mp

mp.mp.dps = 60


def remez(function, low, high, degree, weight=lambda x: 1, rounds=12, grid=4000):
    """Return the coefficients of the minimax polynomial and the largest of weight * error."""
    low, high, n = mp.mpf(low), mp.mpf(high), degree + 2
    points = [(low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * i / (n - 1)) for i in range(n)]
    samples = [low + (high - low) * mp.mpf(i) / grid for i in range(grid + 1)]
    values, weights = [function(x) for x in samples], [weight(x) for x in samples]
    for _ in range(rounds):
        equations = mp.matrix(n, n)
        for i, x in enumerate(points):
            for j in range(degree + 1):
                equations[i, j] = x**j
            equations[i, degree + 1] = (-1) ** i / mp.mpf(weight(x))
        solution = mp.lu_solve(equations, mp.matrix([function(x) for x in points]))
        coefficients = list(solution[: degree + 1])
        errors = [
            w * (v - mp.polyval(coefficients[::-1], x)) for v, w, x in zip(values, weights, samples)
        ]
        points = _alternating_extremes(samples, errors, n) or points
    return coefficients, max(map(abs, errors))


def remez_tanh_half(low, high, numerator, denominator, rounds=12, grid=2000):
    """Return P, Q and the largest relative error of tanh(x) from tanh(x / 2) = x P / Q.

    P and Q are polynomials in x^2 of these degrees, with P(0) = 1 and Q(0) = 2, so that
    tiny x come out exact.  With t = tanh(x / 2), tanh(x) = 2 t / (1 + t^2) forgives t an
    error that grows with (1 + t^2) / (1 - t^2): the more, the nearer t is to 1.
    """
    n = numerator + denominator + 1
    low, high = mp.mpf(low), mp.mpf(high)
    points = [(low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * i / (n - 1)) for i in range(n)]
    samples = [low + (high - low) * mp.mpf(i) / grid for i in range(grid + 1)]
    p, q = [mp.mpf(1)], [mp.mpf(2)]

    def forgiven(x):
        t = mp.tanh(x / 2)
        return min((1 + t * t) / (1 - t * t), mp.mpf(6000))  # beyond, errors count squared

    def half(x):
        return x * mp.polyval(p[::-1], x * x) / mp.polyval(q[::-1], x * x)

    for _ in range(rounds):
        for _ in range(4):  # the size of the error multiplies Q: take the last Q there
            equations, right = mp.matrix(n, n), mp.matrix(n, 1)
            for i, x in enumerate(points):
                z, t_over_x = x * x, mp.tanh(x / 2) / x
                for j in range(numerator):
                    equations[i, j] = z ** (j + 1)
                for j in range(denominator):
                    equations[i, numerator + j] = -t_over_x * z ** (j + 1)
                error_sign = (-1) ** i * forgiven(x)
                equations[i, n - 1] = -error_sign * t_over_x * mp.polyval(q[::-1], z)
                right[i] = 2 * t_over_x - 1
            solution = list(mp.lu_solve(equations, right))
            p, q = [mp.mpf(1), *solution[:numerator]], [mp.mpf(2), *solution[numerator:-1]]
        errors = [(half(x) / mp.tanh(x / 2) - 1) / forgiven(x) for x in samples]
        points = _alternating_extremes(samples, errors, n) or points
    doubled = [2 * half(x) / (1 + half(x) ** 2) for x in samples]
    return p, q, max(abs(y / mp.tanh(x) - 1) for x, y in zip(samples, doubled))


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
    return mp.fsum(2 * z**k / (2 * k + 3) for k in range(70))


def log_weight(z):
    """What an error of `log_remainder` makes of log((1 + s) / (1 - s)); no less than 1e-3."""
    s = mp.sqrt(z)
    return max(s * z / mp.log((1 + s) / (1 - s)) if z else 0, mp.mpf("1e-3"))


def tanh_remainder(z):
    """(tanh(x) - x) / x^3 with z = x^2."""
    if z < mp.mpf("1e-12"):
        return -mp.mpf(1) / 3 + 2 * z / 15
    return (mp.tanh(mp.sqrt(z)) / mp.sqrt(z) - 1) / z


def tanh_weight(z):
    """What an error of `tanh_remainder` makes of tanh(x), relatively; no less than 1e-3."""
    return max(z * mp.sqrt(z) / mp.tanh(mp.sqrt(z)) if z else 0, mp.mpf("1e-3"))


def mills(x):
    """(1 - Phi(x)) exp(x^2 / 2): the tail of the normal distribution, scaled; 1/2 at 0."""
    return mp.erfc(x / mp.sqrt(2)) * mp.exp(x * x / 2) / 2


def mills_remainder(t):
    """((1 + x) mills(x) - 1/2) / s with s = x / (x + 4), t = 2 s - 1, that is x = 4 s / (1 - s)."""
    s = max((1 + t) / 2, mp.mpf("1e-20"))
    x = 4 * s / (1 - s)
    return ((1 + x) * mills(x) - mp.mpf(1) / 2) / s


def mills_weight(t):
    """What an error of `mills_remainder` makes of mills(x), relatively; no less than 1e-3."""
    s = (1 + t) / 2
    return max(s / (mp.mpf(1) / 2 + s * mills_remainder(t)), mp.mpf("1e-3"))


def fits():
    """Each polynomial but those of tanh by half: name, function, interval, degree and weight."""
    half_ln2 = mp.log(2) / 2 * mp.mpf("1.001")  # a little more than rounding can leave
    s_max = (mp.sqrt(2) - 1) / (mp.sqrt(2) + 1) * mp.mpf("1.001")
    yield "EXP_FLOAT32", exp_remainder, -half_ln2, half_ln2, 4
    yield "EXP_FLOAT64", exp_remainder, -half_ln2, half_ln2, 9
    yield "LOG_FLOAT32", log_remainder, 0, s_max**2, 2
    yield "LOG_FLOAT64", log_remainder, 0, s_max**2, 6
    for name, degree in (("LOG1P_FLOAT32", 3), ("LOG1P_FLOAT64", 9)):
        yield name, log_remainder, 0, mp.mpf(1) / 9, degree, log_weight
    yield "TANH_FLOAT64", tanh_remainder, 0, mp.mpf("0.625") ** 2, 11, tanh_weight
    for name, highest, degree in (("MILLS_FLOAT32", 15, 9), ("MILLS_FLOAT64", 39, 22)):
        yield name, mills_remainder, -1, mp.mpf(highest - 4) / (highest + 4), degree, mills_weight


def main():
    for name, *fit in fits():
        coefficients, error = remez(*fit)
        print(f"{name}: largest error {mp.nstr(error, 3)}")
        for c in coefficients:
            print("    " + mp.nstr(c, 9 if name.endswith("32") else 18))
    p, q, error = remez_tanh_half("0.01", 9, numerator=2, denominator=3)
    print(f"TANH_HALF: tanh(x / 2) = x P / Q in x^2, largest error of tanh {mp.nstr(error, 3)}")
    for name, coefficients in (("P", p), ("Q", q)):
        print(f"    {name}:", ", ".join(mp.nstr(c, 9) for c in coefficients))


if __name__ == "__main__":
    main()
