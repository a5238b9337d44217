# exp, log, sigmoid, tanh and gelu of a register, without a branch.
#
# The polynomials are those of fastnn/_polynomials.py, which also says how they were made; their
# error is far below the last bit.  ln 2 is split in two so that n * LN2_HIGH is exact (Cody and
# Waite, "Software manual for the elementary functions", 1980).  The errors of the results are
# listed in bench/NOTES.md and bounded by tests/: at most 2 units in the last place in float64,
# 4 in float32.

cdef extern from "polynomials.h" nogil:  # setup.py writes it
    enum:
        EXP_COUNT, LOG_COUNT, TANH_HALF_N_COUNT, TANH_HALF_D_COUNT, MILLS_COUNT
    const real* EXP
    const real* LOG
    const real* TANH_HALF_N
    const real* TANH_HALF_D
    const real* MILLS


cdef inline vector exp_reduce(vector x, vector* shifted) noexcept nogil:
    """r = x - n ln 2 with n = round(x / ln 2), |r| <= ln(2) / 2.  OUT: shifted = n + MAGIC."""
    shifted[0] = x * splat(1.4426950408889634) + splat(MAGIC)
    cdef vector n = shifted[0] - splat(MAGIC)
    if SINGLE:
        return (x - n * splat(0.693145751953125)) - n * splat(1.4286068203094172e-6)
    return (x - n * splat(0.6931471803691238)) - n * splat(1.9082149292705878e-10)


cdef inline vector exp_reduce_lost(vector x, vector shifted, vector r) noexcept nogil:
    """What rounding took from r, in float64."""
    cdef vector n = shifted - splat(MAGIC)
    return ((x - n * splat(0.6931471803691238)) - r) - n * splat(1.9082149292705878e-10)


cdef inline vector expm1_reduced(vector r) noexcept nogil:
    """exp(r) - 1 for |r| <= ln(2) / 2."""
    return r * r * polynomial(r, EXP, EXP_COUNT) + r


cdef inline vector exp_negative(vector x) noexcept nogil:
    """exp(x) for x <= 0 or NaN; subnormal results are rounded once, -inf gives 0."""
    cdef vector shifted, r_lost, one_plus_r, power
    # Below the clamp the result is 0 all the same, and n stays within the exponent's range.
    x = maximum(splat(-104.0 if SINGLE else -746.0), x)
    cdef vector r = exp_reduce(x, &shifted)
    # 2^n may be subnormal: scale by 2^(n + 64) first, exactly, then by 2^-64.
    if SINGLE:
        power = expm1_reduced(r) + splat(1)
        return power * power_of_two(shifted, 64) * splat(5.421010862427522e-20)
    # Put back what rounding took from r and from 1 + r.
    r_lost = exp_reduce_lost(x, shifted, r)
    one_plus_r = splat(1) + r
    power = one_plus_r + (
        r * r * polynomial(r, EXP, EXP_COUNT) + (r_lost + (r - (one_plus_r - splat(1))))
    )
    return power * power_of_two(shifted, 512) * splat(7.458340731200207e-155)


cdef inline vector sigmoid(vector x) noexcept nogil:
    """1 / (1 + exp(-x)), as e / (1 + e) or 1 / (1 + e) with e = exp(-|x|): both tails exact."""
    cdef vector inverse, a, lost
    cdef vector e = exp_negative(-magnitude(x))
    cdef vector numerator = where_less(x, splat(0), e, splat(1))
    cdef vector denominator = e + splat(1)
    if SINGLE:
        return numerator / denominator
    # Correct the quotient by its remainder, and by what rounding took from 1 + e.
    inverse = splat(1) / denominator
    a = numerator * inverse
    lost = e - (denominator - splat(1))
    return a + (remainder_of(numerator, a, denominator) - a * lost) * inverse


cdef inline vector tanh_by_half(vector x) noexcept nogil:
    """tanh |x| in float32: 2 N D / (2 N D + (D - N)^2), where N / D = tanh |x / 2|.

    Near 1, where N and D are nearly equal, an error of theirs hardly counts.
    """
    cdef vector c = minimum(splat(9.0), magnitude(x))  # beyond, the result is 1
    cdef vector z = c * c
    cdef vector N = c * z * polynomial(z, TANH_HALF_N, TANH_HALF_N_COUNT) + c
    cdef vector u = z * polynomial(z, TANH_HALF_D, TANH_HALF_D_COUNT)  # D - 2, to the last bit
    cdef vector twice_ND, difference
    twice_ND = N * u + (N + N)
    twice_ND = twice_ND + twice_ND
    difference = u - N
    return twice_ND / ((difference * (difference + splat(4)) + twice_ND) + splat(4))


cdef inline vector tanh_by_exp(vector x) noexcept nogil:
    """tanh |x| in float64: -t / (2 + t) with t = exp(-2|x|) - 1."""
    cdef vector shifted, scale, q, t, denominator, a, t_lost, lost
    cdef vector twice = maximum(splat(-40.0), magnitude(x) * splat(-2))  # tanh(20) rounds to 1
    q = expm1_reduced(exp_reduce(twice, &shifted))
    scale = power_of_two(shifted, 0)
    t = scale * q + (scale - splat(1))
    denominator = t + splat(2)
    a = -t / denominator
    # As in sigmoid; and 1 / (2 + t) = (1 + tanh |x|) / 2.
    t_lost = ((scale - splat(1)) - t) + scale * q
    lost = (t - (denominator - splat(2))) + t_lost
    a = a + ((remainder_of(-t, a, denominator) - t_lost) - a * lost) * (
        splat(0.5) + splat(0.5) * a
    )
    return magnitude(a)  # not -0


cdef inline vector tanh(vector x) noexcept nogil:
    """tanh |x|, and the sign of x."""
    return with_sign(tanh_by_half(x) if SINGLE else tanh_by_exp(x), sign_bit(x))


cdef inline vector exp_half_square(vector x, vector* shifted, vector* curved) noexcept nogil:
    """r of exp(-x^2 / 2) = 2^n (1 + r + curved), 0 <= x <= 39 (15).  OUT: shifted = n + MAGIC.

    With c, x rounded to so few bits that its square is exact, -x^2 / 2 is
    -c^2 / 2 + (c - x) (c + x) / 2, where the second part is small: |r| <= ln(2) / 2 + 0.03 in
    float32, + 2e-5 in float64, where EXP is still good to the last bit.
    """
    cdef vector near = splat(49152.0 if SINGLE else 6442450944.0)  # 1.5 * 2^15, 1.5 * 2^32
    cdef vector c = (x + near) - near
    cdef vector half_square = splat(-0.5) * c * c
    cdef vector rest = splat(0.5) * (c - x) * (c + x)
    cdef vector high = exp_reduce(half_square, shifted)
    cdef vector r
    if not SINGLE:
        rest = rest + exp_reduce_lost(half_square, shifted[0], high)
    r = high + rest
    curved[0] = r * r * polynomial(r, EXP, EXP_COUNT) + ((high - r) + rest)
    return r


cdef inline vector mills(vector x, vector* twice, vector* lost) noexcept nogil:
    """m = (1 - Phi(x)) exp(x^2 / 2) for x >= 0.  OUT: twice + lost = 2 x m, with more digits.

    Both are quotients by 1 + x, corrected by their remainders and by what rounding took from
    1 + x; the numerator of `twice` by what rounding took from it, too.
    """
    cdef vector denominator = x + splat(1)
    cdef vector inverse = splat(1) / (denominator * (x + splat(4)))  # of both: one division
    cdef vector v = denominator * inverse
    cdef vector part = x * v * polynomial(splat(1) - splat(8) * v, MILLS, MILLS_COUNT)
    cdef vector numerator = x + (x + x) * part
    cdef vector half = splat(0.5) + part
    cdef vector one_lost = x - (denominator - splat(1))
    cdef vector m
    inverse = (x + splat(4)) * inverse
    twice[0] = numerator * inverse
    lost[0] = inverse * (
        (remainder_of(numerator, twice[0], denominator) - twice[0] * one_lost)
        + ((x - numerator) + (x + x) * part)
    )
    m = half * inverse
    return m + inverse * (remainder_of(half, m, denominator) - m * one_lost)


cdef inline vector gelu(vector z, vector* derivative) noexcept nogil:
    """z Phi(z) = max(z, 0) - |z| (1 - Phi(|z|)).  OUT: derivative, Phi(z) + z phi(z)."""
    cdef vector end = splat(15.0 if SINGLE else 39.0)  # beyond, the tail's product with z is 0
    cdef vector x = minimum(end, magnitude(z))
    # As in exp_negative: 2^n, and the result, may be subnormal.
    cdef vector back = splat(2.710505431213761e-20 if SINGLE else 3.7291703656001034e-155)
    cdef vector forth = splat(3.6893488147419103e19 if SINGLE else 2.6815615859885194e154)
    cdef vector shifted, curved, twice, lost, power, density, slope, value
    cdef vector r = exp_half_square(x, &shifted, &curved)
    cdef vector m = mills(x, &twice, &lost)
    power = power_of_two(shifted, 64 if SINGLE else 512)
    density = splat(1) + (r + curved)
    slope = (m - splat(0.3989422804014327) * x) * density * power * (back + back)
    derivative[0] = where_less(z, splat(0), slope, splat(1) - slope)
    twice = twice + (twice * r + (twice * curved + lost * density))
    value = (where_positive(z, x, splat(0)) * forth - twice * power) * back
    return where_less(end, z, z, with_sign(magnitude(value), sign_bit(z)))


cdef inline vector log(vector x) noexcept nogil:
    """ln x for normal x > 0: k ln 2 + 2 s + s^3 q(s^2), s = (m - 1) / (m + 1), x = m 2^k."""
    cdef vector k
    cdef vector f = split_exponent(x, &k) - splat(1)
    cdef vector s = f / (f + splat(2))
    cdef vector z = s * s
    # 2 s = f - s f keeps the last bits of f.
    return k * splat(0.69314718055994531) + (f - s * (f - z * polynomial(z, LOG, LOG_COUNT)))


cdef inline vector log_of_one_minus(vector a) noexcept nogil:
    """ln(1 - a) for 0 <= a < 1, with the bits of a that 1 - a loses."""
    cdef vector rest = splat(1) - a
    return log(rest) + ((splat(1) - rest) - a) / rest
