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

# log1p(e) = ln(1 + e) = 2 s + s^3 LOG1P(s^2) with s = e / (2 + e), for 0 <= e <= 1; and
# 2 s = e - s e, so that small e come out exact: e - s (e - s^2 LOG1P(s^2)).
# softplus(z) = max(z, 0) + log1p(exp(-|z|)).
# Relative error of log1p(e): 4.5e-9 and 1.5e-18.
LOG1P_FLOAT32 = (0.666664163, 0.400215272, 0.280018052, 0.280119871)
LOG1P_FLOAT64 = (
    0.666666666666665194,
    0.400000000000972523,
    0.285714285541094321,
    0.222222236344346893,
    0.181817543980179769,
    0.153863583471658357,
    0.133033979793510756,
    0.120883311676846996,
    0.0841252864689909486,
    0.168923931866327194,
)

# tanh(x / 2) = N / D for float32 and 0 <= x <= 9, with z = x^2:
# N = x + x z TANH_HALF_N(z), D = 2 + z TANH_HALF_D(z), tanh(x) = 2 N D / (N^2 + D^2).
# Relative error of tanh(x): 7.8e-9.
TANH_HALF_N = (0.0297783666, 0.000114353255)
TANH_HALF_D = (0.226223332, 0.00241405594, 2.4622294e-6)

# tanh(x) = x + x z TANH(z) with z = x^2, for float64 and 0 <= x <= 0.625.
# Relative error of tanh(x): 3.7e-19.
TANH_FLOAT64 = (
    -0.333333333333333128,
    0.133333333333297428,
    -0.0539682539660589165,
    0.0218694884687156089,
    -0.00886323431258025481,
    0.00359211399988257731,
    -0.00145572594808043466,
    0.000589451798978704787,
    -0.000237011730291413783,
    0.0000915584121588349197,
    -0.0000301872210362896549,
    6.04246861307320421e-6,
)

# The tail of the normal distribution, scaled: m(x) = (1 - Phi(x)) exp(x^2 / 2), 0 <= x <= 39, in
# float32 <= 15.  m(x) = (1/2 + s MILLS(t)) / (1 + x) with s = x / (x + 4) and t = 2 s - 1.
# Both ends of it are 1/2 / 1 and 0.4 / x, so that 1/2 is most of the numerator everywhere, and
# rounding in s and MILLS counts little; near x = 39, t = 1 - 8 / (x + 4) keeps more digits.
#
# gelu(z) = max(z, 0) - x m(x) exp(-x^2 / 2) with x = |z| (see _numpy/special.py), in this order:
#   exp(-x^2 / 2) = 2^n (1 + r + c), c = r^2 EXP(r), where the square is split without error;
#   y = 2 x m(x) = (x + 2 x s MILLS(t)) / (1 + x), a quotient corrected by its remainder (y + lost);
#   x (1 - Phi(x)) = 2^n (y + (y r + (y c + lost (1 + r + c)))) / 2: two roundings in all;
#   gelu'(z) is 2^n (m(x) - x / sqrt(2 pi)) (1 + r + c) for z < 0, and 1 minus it for z >= 0.
# Relative error of m(x): 1.9e-9 and 6.4e-18.
MILLS_FLOAT32 = (
    -0.0558935863,
    -0.137513345,
    0.165512538,
    -0.10831265,
    0.0439180579,
    -0.00803715026,
    -0.00197108776,
    0.0013625674,
    2.1779477e-5,
    -0.000142795425,
)
MILLS_FLOAT64 = (
    -0.0558935869803106386,
    -0.13751336767274095,
    0.165512637121591895,
    -0.108311909014493264,
    0.0439162341583134812,
    -0.00804403919887063495,
    -0.00196071798300427526,
    0.00138947178569204334,
    3.22420604340012529e-7,
    -0.0001891829179443755,
    0.0000134765722442770777,
    0.0000290234798751254165,
    -1.76984177859976591e-6,
    -5.09443170899476251e-6,
    -1.31089750737940656e-7,
    9.39866435273800298e-7,
    1.63598510116920976e-7,
    -1.60530725214069469e-7,
    -6.08748076107502807e-8,
    2.10892229137405285e-8,
    1.38264064988966342e-8,
    -1.449761050807382e-9,
    -1.52877118717082135e-9,
)
