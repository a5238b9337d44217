"""The coefficients of all polynomials: the one place from which the three kernels take them.

Minimax fits of our own, made by bench/fit_polynomials.py (Remez exchange in 60-digit
arithmetic), lowest power first: P(x) = P[0] + P[1] x + P[2] x^2 + ...  The NumPy and Numba
kernels import this module; for the compiled ones setup.py writes it as a C header.  A name
that ends in _FLOAT32 or _FLOAT64 belongs to that dtype, and C knows it without the ending.

Beside each polynomial stands the formula it belongs to, the interval it was fitted on and the
largest error of the fit, before any rounding.
"""

# exp(r) = 1 + r + r^2 EXP(r), for |r| <= ln(2) / 2.
# exp(x) = 2^n exp(r) with n = round(x / ln 2), r = x - n ln 2.
# Error of EXP: 6.3e-8 and 1.0e-16.
EXP_FLOAT32 = (0.500000003, 0.166665766, 0.0416663741, 0.00836323507, 0.00139412183)
EXP_FLOAT64 = (
    0.500000000000000103,
    0.166666666666666746,
    0.0416666666666238165,
    0.00833333333332212591,
    0.00138888889173687614,
    0.000198412698868390161,
    0.0000248015210556420949,
    2.7557242056713642e-6,
    2.76202025140020306e-7,
    2.51101552319433711e-8,
)

# ln(m) = 2 s + s^3 LOG(s^2) with s = (m - 1) / (m + 1), for sqrt(1/2) <= m <= sqrt(2).
# ln(x) = k ln 2 + ln(m) with x = m 2^k; and 2 s = f - s f with f = m - 1.
# Error of LOG: 1.9e-7 and 3.1e-16.
LOG_FLOAT32 = (0.666666854, 0.399886727, 0.295841297)
LOG_FLOAT64 = (
    0.666666666666666977,
    0.399999999998972606,
    0.285714286269342589,
    0.222222109857908482,
    0.181828995431081775,
    0.153313872670050652,
    0.14620458693301011,
)

# tanh(x / 2) = N / D for float32 and 0 <= x <= 9, with z = x^2:
# N = x + x z TANH_HALF_N(z), D = 2 + z TANH_HALF_D(z), tanh(x) = 2 N D / (N^2 + D^2).
# Relative error of tanh(x): 1.1e-7.
TANH_HALF_N = (0.0297783666, 0.000114353255)
TANH_HALF_D = (0.226223332, 0.00241405594, 2.4622294e-6)

# tanh(x) = x + x z TANH(z) with z = x^2, for float64 and 0 <= x <= 0.625.
# Relative error of tanh(x): 4e-19.
TANH_FLOAT64 = (
    -0.333333333333333128,
    0.133333333333297429,
    -0.0539682539660589254,
    0.0218694884687155444,
    -0.00886323431257701873,
    0.00359211399984078900,
    -0.00145572594778540967,
    0.000589451797687173787,
    -0.000237011726682854028,
    0.0000915584058719720067,
    -0.0000301872147940714419,
    0.00000604246590980805124,
)
