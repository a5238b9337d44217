# Activations: the formula of each row of rows.h, and what is done with them on lines and panels.
#
# A row whose derivative comes from the output has two functions, g(z) and g'(z) from a = g(z).
# NaN stays NaN.


cdef inline vector linear_value "fastnn_linear"(vector z, real alpha) noexcept nogil:
    return z


cdef inline vector linear_derivative "fastnn_linear_derivative"(
    vector a, real alpha
) noexcept nogil:
    return splat(1)


cdef inline vector relu_value "fastnn_relu"(vector z, real alpha) noexcept nogil:
    return where_less(z, splat(0), splat(0), z)  # NaN < 0 is false


cdef inline vector relu_derivative "fastnn_relu_derivative"(vector a, real alpha) noexcept nogil:
    return where_positive(a, splat(1), splat(0))


cdef inline vector leaky_relu_value "fastnn_leaky_relu"(vector z, real alpha) noexcept nogil:
    return where_positive(z, z, z * splat(alpha))


cdef inline vector leaky_relu_derivative "fastnn_leaky_relu_derivative"(
    vector a, real alpha
) noexcept nogil:
    return where_positive(a, splat(1), splat(alpha))


cdef inline vector sigmoid_value "fastnn_sigmoid"(vector z, real alpha) noexcept nogil:
    return sigmoid(z)


cdef inline vector sigmoid_derivative "fastnn_sigmoid_derivative"(
    vector a, real alpha
) noexcept nogil:
    return a * (splat(1) - a)


cdef inline vector tanh_value "fastnn_tanh"(vector z, real alpha) noexcept nogil:
    return tanh(z)


cdef inline vector tanh_derivative "fastnn_tanh_derivative"(vector a, real alpha) noexcept nogil:
    return splat(1) - a * a


# --- runs of whole registers --------------------------------------------------------------


cdef inline void activate_loop "fastnn_activate_elements"(
    const real* z, Py_ssize_t count, int activation, real alpha, real* a
) noexcept nogil:
    cdef Py_ssize_t i
    for i from 0 <= i < count by LANES:
        store(a + i, activated(load(z + i), activation, alpha))


cdef void activate_run(
    const real* z, Py_ssize_t count, int activation, real alpha, real* a
) noexcept nogil:
    """a = g(z) for `count` elements, a multiple of LANES.  Not for softmax."""
    if activation != LINEAR:
        activate_elements(z, count, activation, alpha, a)
    elif a != z:
        memcpy(a, z, count * sizeof(real))


cdef inline void derivative_loop "fastnn_derivative_elements"(
    const real* da, const real* a, Py_ssize_t count, int activation, real alpha, real* dz
) noexcept nogil:
    cdef vector derivative
    cdef Py_ssize_t i
    for i from 0 <= i < count by LANES:
        derivative = derivative_of(load(a + i), activation, alpha)
        store(dz + i, load(da + i) * derivative if da != NULL else derivative)


cdef void derivative_run(
    const real* da, const real* a, Py_ssize_t count, int activation, real alpha, real* dz
) noexcept nogil:
    """dz = da g'(z), with g' from the output a, for `count` elements.  Not for softmax.

    With da NULL, g'(z) itself.
    """
    if activation != LINEAR or da == NULL:
        derivative_elements(da, a, count, activation, alpha, dz)
    elif dz != da:
        memcpy(dz, da, count * sizeof(real))


cdef void activate_line(
    const real* z, Py_ssize_t count, int activation, real alpha, real* a
) noexcept nogil:
    """`activate_run` for any count."""
    cdef real rest[LANES]
    cdef Py_ssize_t whole = count - count % LANES
    activate_run(z, whole, activation, alpha, a)
    if whole < count:
        memset(rest, 0, sizeof(rest))
        memcpy(rest, z + whole, (count - whole) * sizeof(real))
        activate_run(rest, LANES, activation, alpha, rest)
        memcpy(a + whole, rest, (count - whole) * sizeof(real))


cdef void derivative_line(
    const real* da, const real* a, Py_ssize_t count, int activation, real alpha, real* dz
) noexcept nogil:
    """`derivative_run` for any count."""
    cdef real rest[2 * LANES]
    cdef Py_ssize_t whole = count - count % LANES
    cdef real* rest_of_da = NULL
    derivative_run(da, a, whole, activation, alpha, dz)
    if whole < count:
        memset(rest, 0, sizeof(rest))
        memcpy(rest, a + whole, (count - whole) * sizeof(real))
        if da != NULL:
            rest_of_da = rest + LANES
            memcpy(rest_of_da, da + whole, (count - whole) * sizeof(real))
        derivative_run(rest_of_da, rest, LANES, activation, alpha, rest)
        memcpy(dz + whole, rest, (count - whole) * sizeof(real))


# --- softmax ------------------------------------------------------------------------------


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


# --- panels -------------------------------------------------------------------------------


cdef void activate_panel(real* panel, Py_ssize_t n, int activation, real alpha) noexcept nogil:
    """A = g(Z) in place, for the whole of a panel."""
    if activation == SOFTMAX:
        softmax_lanes(panel, n, PANEL)
        softmax_lanes(panel + LANES, n, PANEL)
    else:
        activate_run(panel, n * PANEL, activation, alpha, panel)


cdef void derivative_panel(
    const real* da, const real* a, Py_ssize_t n, int activation, real alpha, real* dz
) noexcept nogil:
    if activation == SOFTMAX:
        softmax_backward_lanes(da, a, n, dz)
        softmax_backward_lanes(da + LANES, a + LANES, n, dz + LANES)
    else:
        derivative_run(da, a, n * PANEL, activation, alpha, dz)
