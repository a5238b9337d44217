# Activations and their derivatives on panels.


cdef inline vector activated "fastnn_activated"(
    vector z, int activation, real slope
) noexcept nogil:
    """g(z), elementwise; NaN stays NaN."""
    if activation == SIGMOID:
        return sigmoid(z)
    if activation == TANH:
        return tanh(z)
    if activation == RELU:
        return where_less(z, splat(0), splat(0), z)  # NaN < 0 is false
    if activation == LEAKY_RELU:
        return where_positive(z, z, z * splat(slope))
    return z


cdef inline vector times_derivative "fastnn_times_derivative"(
    vector da, vector a, int activation, real slope
) noexcept nogil:
    """da g'(z), with g' from the output a = g(z)."""
    if activation == SIGMOID:
        return da * (a * (splat(1) - a))
    if activation == TANH:
        return da * (splat(1) - a * a)
    if activation == RELU:
        return da * where_positive(a, splat(1), splat(0))
    if activation == LEAKY_RELU:
        return da * where_positive(a, splat(1), splat(slope))
    return da


cdef inline void activate_all "fastnn_activate_all"(
    const real* z, Py_ssize_t count, int activation, real slope, real* a
) noexcept nogil:
    cdef Py_ssize_t i
    for i from 0 <= i < count by LANES:
        store(a + i, activated(load(z + i), activation, slope))


cdef void activate_run(
    const real* z, Py_ssize_t count, int activation, real slope, real* a
) noexcept nogil:
    """a = g(z) for `count` numbers, a multiple of LANES.  Not for softmax."""
    if activation == SIGMOID:
        activate_all(z, count, SIGMOID, 0, a)
    elif activation == TANH:
        activate_all(z, count, TANH, 0, a)
    elif activation == RELU:
        activate_all(z, count, RELU, 0, a)
    elif activation == LEAKY_RELU:
        activate_all(z, count, LEAKY_RELU, slope, a)
    elif a != z:  # LINEAR
        memcpy(a, z, count * sizeof(real))


cdef inline void derivative_all "fastnn_derivative_all"(
    const real* da, const real* a, Py_ssize_t count, int activation, real slope, real* dz
) noexcept nogil:
    cdef Py_ssize_t i
    for i from 0 <= i < count by LANES:
        store(
            dz + i,
            times_derivative(
                load(da + i) if da != NULL else splat(1), load(a + i), activation, slope
            ),
        )


cdef void derivative_run(
    const real* da, const real* a, Py_ssize_t count, int activation, real slope, real* dz
) noexcept nogil:
    """dz = da g'(z), with g' from the output a, for `count` numbers.  Not for softmax.

    With da NULL, g'(z) itself.
    """
    if activation == SIGMOID:
        derivative_all(da, a, count, SIGMOID, 0, dz)
    elif activation == TANH:
        derivative_all(da, a, count, TANH, 0, dz)
    elif activation == RELU:
        derivative_all(da, a, count, RELU, 0, dz)
    elif activation == LEAKY_RELU:
        derivative_all(da, a, count, LEAKY_RELU, slope, dz)
    elif da == NULL:
        derivative_all(da, a, count, LINEAR, 0, dz)
    elif dz != da:
        memcpy(dz, da, count * sizeof(real))


cdef void activate_line(
    const real* z, Py_ssize_t count, int activation, real slope, real* a
) noexcept nogil:
    """`activate_run` for any count."""
    cdef real rest[LANES]
    cdef Py_ssize_t whole = count - count % LANES
    activate_run(z, whole, activation, slope, a)
    if whole < count:
        memset(rest, 0, sizeof(rest))
        memcpy(rest, z + whole, (count - whole) * sizeof(real))
        activate_run(rest, LANES, activation, slope, rest)
        memcpy(a + whole, rest, (count - whole) * sizeof(real))


cdef void derivative_line(
    const real* da, const real* a, Py_ssize_t count, int activation, real slope, real* dz
) noexcept nogil:
    """`derivative_run` for any count."""
    cdef real rest[2 * LANES]
    cdef Py_ssize_t whole = count - count % LANES
    cdef real* rest_of_da = NULL
    derivative_run(da, a, whole, activation, slope, dz)
    if whole < count:
        memset(rest, 0, sizeof(rest))
        memcpy(rest, a + whole, (count - whole) * sizeof(real))
        if da != NULL:
            rest_of_da = rest + LANES
            memcpy(rest_of_da, da + whole, (count - whole) * sizeof(real))
        derivative_run(rest_of_da, rest, LANES, activation, slope, rest)
        memcpy(dz + whole, rest, (count - whole) * sizeof(real))


cdef inline vector sum_and_lost(vector total, vector e, vector* lost) noexcept nogil:
    """total + e, and what rounding took from it added to `lost` (Knuth's two-sum)."""
    cdef vector result = total + e
    cdef vector added = result - total
    lost[0] = lost[0] + ((total - (result - added)) + (e - added))
    return result


cdef inline vector quotient(vector e, vector total, vector inverse, vector lost) noexcept nogil:
    """e / (total + lost); in float64 corrected by its remainder, to within 2 last places."""
    cdef vector a
    if SINGLE:
        return e / total
    a = e * inverse
    return a + (remainder_of(e, a, total) - a * lost) * inverse


cdef void softmax_lanes(real* z, Py_ssize_t n, Py_ssize_t stride) noexcept nogil:
    """In place for LANES examples: z[k * stride + lane] over the n classes k."""
    cdef Py_ssize_t k
    cdef vector e, inverse
    cdef vector largest = splat(-1) / splat(0)
    cdef vector total = splat(0)
    cdef vector lost = splat(0)
    for k in range(n):
        largest = maximum(largest, load(z + k * stride))
    for k in range(n):
        e = exp_negative(load(z + k * stride) - largest)
        store(z + k * stride, e)
        total = total + e if SINGLE else sum_and_lost(total, e, &lost)
    inverse = splat(1) / total
    for k in range(n):
        store(z + k * stride, quotient(load(z + k * stride), total, inverse, lost))


cdef void softmax_backward_lanes(
    const real* da, const real* a, Py_ssize_t n, real* dz
) noexcept nogil:
    """dz = a (da - sum(da a)) for LANES examples of a panel; dz may be da."""
    cdef Py_ssize_t k
    cdef vector inner = splat(0)
    for k in range(n):
        inner = inner + load(da + k * PANEL) * load(a + k * PANEL)
    for k in range(n):
        store(dz + k * PANEL, load(a + k * PANEL) * (load(da + k * PANEL) - inner))


cdef void activate_panel(real* panel, Py_ssize_t n, int activation, real slope) noexcept nogil:
    """A = g(Z) in place, for the whole of a panel."""
    if activation == SOFTMAX:
        softmax_lanes(panel, n, PANEL)
        softmax_lanes(panel + LANES, n, PANEL)
    else:
        activate_run(panel, n * PANEL, activation, slope, panel)


cdef void derivative_panel(
    const real* da, const real* a, Py_ssize_t n, int activation, real slope, real* dz
) noexcept nogil:
    if activation == SOFTMAX:
        softmax_backward_lanes(da, a, n, dz)
        softmax_backward_lanes(da + LANES, a + LANES, n, dz + LANES)
    else:
        derivative_run(da, a, n * PANEL, activation, slope, dz)
