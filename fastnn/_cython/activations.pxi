# Activations: the formula of each row of rows.h, and what is done with them on lines and panels.
#
# A row whose derivative is cheap from the output has two functions, g(z) and g'(z) from
# a = g(z); any other has one, which gives both.  NaN stays NaN.


cdef inline vector linear_value "fastnn_linear"(vector z, real alpha) noexcept nogil:
    return z


cdef inline vector linear_derivative "fastnn_linear_derivative"(
    vector a, real alpha
) noexcept nogil:
    return splat(1)


cdef inline vector relu_value "fastnn_relu"(vector z, real alpha) noexcept nogil:
    return where_not_positive(z, splat(0), z)  # NaN <= 0 is false, -0.0 <= 0 is true


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


cdef inline vector exponential_value "fastnn_exponential"(vector z, real alpha) noexcept nogil:
    return exp(z)


cdef inline vector exponential_derivative "fastnn_exponential_derivative"(
    vector a, real alpha
) noexcept nogil:
    return a


cdef inline vector gelu_row "fastnn_gelu"(
    vector z, real alpha, vector* derivative
) noexcept nogil:
    return gelu(z, derivative)


cdef inline vector elu_row "fastnn_elu"(vector z, real alpha, vector* derivative) noexcept nogil:
    return elu(z, alpha, derivative)


cdef inline vector softplus_row "fastnn_softplus"(
    vector z, real alpha, vector* derivative
) noexcept nogil:
    return softplus(z, derivative)


cdef inline vector silu_row "fastnn_silu"(
    vector z, real alpha, vector* derivative
) noexcept nogil:
    return silu(z, derivative)


cdef inline vector gelu_tanh_row "fastnn_gelu_tanh"(
    vector z, real alpha, vector* derivative
) noexcept nogil:
    return gelu_tanh(z, derivative)


# --- runs of whole registers --------------------------------------------------------------


cdef inline void activate_loop "fastnn_activate_elements"(
    const real* z, Py_ssize_t count, int activation, real alpha, real* a, real* d
) noexcept nogil:
    cdef vector derivative
    cdef Py_ssize_t i
    if d == NULL:
        for i from 0 <= i < count by LANES:
            store(a + i, activated(load(z + i), activation, alpha, &derivative))
        return
    for i from 0 <= i < count by LANES:
        store(a + i, activated(load(z + i), activation, alpha, &derivative))
        store(d + i, derivative)


cdef void activate_run(
    const real* z, Py_ssize_t count, int activation, real alpha, real* a, real* d
) noexcept nogil:
    """a = g(z), and d = g'(z) unless it is NULL, of `count` elements, a multiple of LANES.

    Not for softmax.
    """
    if activation != LINEAR or d != NULL:
        activate_elements(z, count, activation, alpha, a, d)
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


cdef inline void multiply_run(
    const real* x, const real* y, Py_ssize_t count, real* z
) noexcept nogil:
    """z = x y for `count` elements, a multiple of LANES."""
    cdef Py_ssize_t i
    for i from 0 <= i < count by LANES:
        store(z + i, load(x + i) * load(y + i))


cdef inline void backward_run(
    const real* da, const real* a, const real* d, Py_ssize_t count, int activation, real alpha,
    real* dz,
) noexcept nogil:
    """dz = da d, or, with d NULL, `derivative_run`."""
    if d != NULL:
        multiply_run(da, d, count, dz)
    else:
        derivative_run(da, a, count, activation, alpha, dz)


cdef void activate_line(
    const real* z, Py_ssize_t count, int activation, real alpha, real* a, real* d
) noexcept nogil:
    """`activate_run` for any count."""
    cdef real rest[LANES]
    cdef real rest_of_d[LANES]
    cdef Py_ssize_t whole = count - count % LANES
    activate_run(z, whole, activation, alpha, a, d)
    if whole < count:
        memset(rest, 0, sizeof(rest))
        memcpy(rest, z + whole, (count - whole) * sizeof(real))
        activate_run(rest, LANES, activation, alpha, rest, rest_of_d if d != NULL else NULL)
        memcpy(a + whole, rest, (count - whole) * sizeof(real))
        if d != NULL:
            memcpy(d + whole, rest_of_d, (count - whole) * sizeof(real))


cdef void backward_rest(
    const real* da, const real* a, const real* d, Py_ssize_t count, int activation, real alpha,
    real* dz,
) noexcept nogil:
    """`backward_run` for less than a register."""
    cdef real rest[3 * LANES]
    memset(rest, 0, sizeof(rest))
    if a != NULL:
        memcpy(rest, a, count * sizeof(real))
    if da != NULL:
        memcpy(rest + LANES, da, count * sizeof(real))
    if d != NULL:
        memcpy(rest + 2 * LANES, d, count * sizeof(real))
    backward_run(
        rest + LANES if da != NULL else NULL, rest, rest + 2 * LANES if d != NULL else NULL,
        LANES, activation, alpha, rest,
    )
    memcpy(dz, rest, count * sizeof(real))


cdef inline void backward_line(
    const real* da, const real* a, const real* d, Py_ssize_t count, int activation, real alpha,
    real* dz,
) noexcept nogil:
    """`backward_run` for any count; with da NULL, g'(z) itself."""
    cdef Py_ssize_t rest = count % LANES
    cdef Py_ssize_t whole = count - rest
    backward_run(da, a, d, whole, activation, alpha, dz)
    if rest > 0:
        backward_rest(
            moved(da, whole), moved(a, whole), moved(d, whole), rest, activation, alpha, dz + whole
        )


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


cdef void activate_panel(
    real* panel, Py_ssize_t n, int activation, real alpha, real* d
) noexcept nogil:
    """A = g(Z) in place, and d = g'(Z) unless it is NULL, for the whole of a panel."""
    if activation == SOFTMAX:
        softmax_lanes(panel, n, PANEL)
        softmax_lanes(panel + LANES, n, PANEL)
    else:
        activate_run(panel, n * PANEL, activation, alpha, panel, d)


cdef void backward_panel(
    const real* da, const real* a, const real* d, Py_ssize_t n, int activation, real alpha, real* dz
) noexcept nogil:
    """dz = da g'(z), with g' from d unless it is NULL, else from a; dz may be da."""
    if d == NULL and activation == SOFTMAX:
        softmax_backward_lanes(da, a, n, dz)
        softmax_backward_lanes(da + LANES, a + LANES, n, dz + LANES)
    else:
        backward_run(da, a, d, n * PANEL, activation, alpha, dz)
