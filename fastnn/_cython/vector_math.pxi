# exp, log and the curves made of them, of a register, without a branch.
#
# The polynomials are those of fastnn/_polynomials.py, which also says how they were made; their
# error is far below the last bit.  ln 2 is split in two so that n * LN2_HIGH is exact (Cody and
# Waite, "Software manual for the elementary functions", 1980).  The errors of the results are
# listed in bench/NOTES.md and bounded by tests/: at most 2 units in the last place in float64,
# 4 in float32.

cdef extern from "polynomials.h" nogil:  # setup.py writes it
    enum:
        EXP_COUNT, LOG_COUNT, LOG1P_COUNT, TANH_HALF_N_COUNT, TANH_HALF_D_COUNT, MILLS_COUNT
    const real* EXP
    const real* LOG
    const real* LOG1P
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


cdef inline vector exp_reduced(vector r, vector lost) noexcept nogil:
    """exp(r + lost) for |r| <= ln(2) / 2; `lost` does not count in float32."""
    cdef vector one_plus_r
    if SINGLE:
        return expm1_reduced(r) + splat(1)
    # Put back what rounding took from r and from 1 + r.
    one_plus_r = splat(1) + r
    return one_plus_r + (
        r * r * polynomial(r, EXP, EXP_COUNT) + (lost + (r - (one_plus_r - splat(1))))
    )


cdef inline vector scale_forth() noexcept nogil:
    """2^64, in float64 2^512.

    Where 2^n, or a result, may be subnormal, it is scaled by this, exactly, and then back: so it
    is rounded once.
    """
    return splat(1.8446744073709552e19 if SINGLE else 1.3407807929942597e154)


cdef inline vector scale_back() noexcept nogil:
    return splat(5.421010862427522e-20 if SINGLE else 7.458340731200207e-155)


cdef inline vector exp_negative(vector x) noexcept nogil:
    """exp(x) for x <= 0 or NaN; subnormal results are rounded once, -inf gives 0."""
    cdef vector shifted
    # Below the clamp the result is 0 all the same, and n stays within the exponent's range.
    x = maximum(splat(-104.0 if SINGLE else -746.0), x)
    cdef vector r = exp_reduce(x, &shifted)
    cdef vector power = exp_reduced(r, exp_reduce_lost(x, shifted, r))
    return power * power_of_two(shifted, 64 if SINGLE else 512) * scale_back()


cdef inline vector exp(vector x) noexcept nogil:
    """exp(x) of any x: inf beyond the largest number, and below 0 as `exp_negative`."""
    cdef vector shifted, power
    x = minimum(splat(89.0 if SINGLE else 710.0), maximum(splat(-104.0 if SINGLE else -746.0), x))
    cdef vector r = exp_reduce(x, &shifted)
    power = exp_reduced(r, exp_reduce_lost(x, shifted, r))
    # 2^n in two factors, either of them normal.
    shifted = shifted + splat(64 if SINGLE else 512) * where_less(x, splat(0), splat(1), splat(-1))
    return power * power_of_two(shifted, 0) * where_less(
        x, splat(0), scale_back(), scale_forth()
    )


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


cdef inline vector elu(vector z, real alpha, vector* derivative) noexcept nogil:
    """z if z > 0, else alpha (exp(z) - 1).  OUT: derivative, 1 or alpha exp(z)."""
    cdef vector shifted
    # At the clamp, and only near it, n is so low that power_of_two gives 0.
    cdef vector lowest = splat(-88.02969193111305 if SINGLE else -709.0895657128241)
    cdef vector x = maximum(lowest, minimum(splat(0), z))
    cdef vector r = exp_reduce(x, &shifted)
    # With s = alpha 2^n it is s (exp(r) - 1) + (s - alpha).
    cdef vector scale = splat(alpha) * power_of_two(shifted, 0)
    cdef vector rest = scale - splat(alpha)
    cdef vector less_one = expm1_reduced(r)
    cdef vector below = scale * less_one
    # Not below + scale: clang fuses a product into a sum only where nothing else uses it, and
    # then the bits of the value would depend on whether its derivative is asked for.
    derivative[0] = where_positive(z, splat(1), scale * (less_one + splat(1)))
    if not SINGLE:
        below = below + (
            (scale - (rest + splat(alpha))) + scale * exp_reduce_lost(x, shifted, r)
        )
    below = with_sign(below + rest, sign_bit(z))  # -0 for -0
    return where_positive(z, z, below)


cdef inline vector softplus(vector z, vector* derivative) noexcept nogil:
    """log(1 + exp(z)) = max(z, 0) + log1p(e), e = exp(-|z|).  OUT: derivative, sigmoid(z)."""
    cdef vector e = exp_negative(-magnitude(z))
    cdef vector s = e / (e + splat(2))
    cdef vector square = s * s
    derivative[0] = where_less(z, splat(0), e, splat(1)) / (e + splat(1))
    # 2 s = e - s e keeps the last bits of e.
    return maximum(splat(0), z) + (
        e - s * (e - square * polynomial(square, LOG1P, LOG1P_COUNT))
    )


cdef inline vector gate(
    vector z, vector x, vector w, vector lost, vector slope, vector* derivative
) noexcept nogil:
    """z sigmoid(v) with v = w + lost for z >= 0, -(w + lost) for z < 0.

    x is |z|, but no more than where exp(-w) z is 0; `slope` is v'.  OUT: derivative,
    s + z s (1 - s) v' with s = sigmoid(v): for z < 0 (1 - s) (1 - x s v'), s = sigmoid(|v|), and
    for z >= 0 the rest of that to 1.
    """
    cdef vector shifted, power, e, denominator, inverse, tail, factor, low, numerator, value
    cdef vector high = exp_reduce(-w, &shifted)
    cdef vector rest = -lost
    if not SINGLE:
        rest = exp_reduce_lost(-w, shifted, high) - lost
    cdef vector r = high + rest
    # As in exp_negative: exp(-w) may be subnormal where its product with z is not.
    power = exp_reduced(r, (high - r) + rest) * power_of_two(shifted, 64 if SINGLE else 512)
    e = power * scale_back()
    denominator = e + splat(1)
    inverse = splat(1) / denominator
    tail = power * inverse * (splat(1) - x * slope * inverse) * scale_back()
    derivative[0] = where_less(z, splat(0), tail, splat(1) - tail)
    factor = where_less(z, splat(0), power, splat(1))
    low = where_less(z, splat(0), -x, z)
    numerator = low * factor
    value = numerator * inverse
    if not SINGLE:
        # Correct the quotient by its remainder, and by what rounding took from its two parts.
        value = value + inverse * (
            (remainder_of(numerator, value, denominator) - remainder_of(numerator, low, factor))
            - value * (e - (denominator - splat(1)))
        )
        value = where_less(x, z, z, with_sign(value, sign_bit(z)))  # infinity, and -0
    return value * where_less(z, splat(0), scale_back(), splat(1))


cdef inline vector silu(vector z, vector* derivative) noexcept nogil:
    """z sigmoid(z).  OUT: derivative, s + z s (1 - s) with s = sigmoid(z)."""
    cdef vector x = minimum(splat(110.0 if SINGLE else 760.0), magnitude(z))
    return gate(z, x, x, splat(0), splat(1), derivative)


cdef inline vector gelu_tanh(vector z, vector* derivative) noexcept nogil:
    """z sigmoid(2 u), 2 u = z (k + c z^2) with k = sqrt(8 / pi), c = 0.044715 k.

    An error of 2 u is a relative one of the exponential: it is computed with twice the digits.
    OUT: derivative, s + z s (1 - s) 2 u' with s = sigmoid(2 u), 2 u' = k + 3 c z^2.
    """
    cdef vector k = splat(1.5957691216057308)
    cdef vector k_low = splat(-4.534068042105272e-08 if SINGLE else -9.96930880911092e-17)
    cdef vector c = splat(0.07135481627260025)
    cdef vector c_low = splat(2.3988323959931355e-09 if SINGLE else -6.175149918155315e-19)
    cdef vector x = minimum(splat(11.0 if SINGLE else 22.0), magnitude(z))
    cdef vector square = x * x
    cdef vector cubic = c * square
    cdef vector lost = k_low + (c_low * square - c * remainder_of(square, x, x))
    # k + cubic, and what rounding took from either (Knuth's two-sum, but of c square itself).
    cdef vector factor = k + cubic
    cdef vector added = factor - k
    lost = lost + ((k - (factor - added)) - remainder_of(added, c, square))
    cdef vector w = x * factor
    return gate(
        z, x, w, x * lost - remainder_of(w, x, factor), k + splat(3) * cubic, derivative
    )
