# Activations and their derivatives on panels.


cdef void activate_run(
    const real* z, Py_ssize_t count, int activation, real slope, real* a
) noexcept nogil:
    """a = g(z) for `count` numbers, a multiple of LANES.  Not for softmax."""
    cdef Py_ssize_t i
    cdef vector v
    if activation == SIGMOID:
        for i from 0 <= i < count by LANES:
            store(a + i, sigmoid(load(z + i)))
    elif activation == TANH:
        for i from 0 <= i < count by LANES:
            store(a + i, tanh(load(z + i)))
    elif activation == RELU:
        for i from 0 <= i < count by LANES:
            v = load(z + i)
            store(a + i, where_less(v, splat(0), splat(0), v))  # NaN < 0 is false: NaN stays
    elif activation == LEAKY_RELU:
        for i from 0 <= i < count by LANES:
            v = load(z + i)
            store(a + i, where_positive(v, v, v * splat(slope)))
    elif a != z:  # LINEAR
        memcpy(a, z, count * sizeof(real))


cdef void derivative_run(
    const real* da, const real* a, Py_ssize_t count, int activation, real slope, real* dz
) noexcept nogil:
    """dz = da g'(z), with g' from the output a, for `count` numbers.  Not for softmax."""
    cdef Py_ssize_t i
    cdef vector v
    if activation == SIGMOID:
        for i from 0 <= i < count by LANES:
            v = load(a + i)
            store(dz + i, load(da + i) * (v * (splat(1) - v)))
    elif activation == TANH:
        for i from 0 <= i < count by LANES:
            v = load(a + i)
            store(dz + i, load(da + i) * (splat(1) - v * v))
    elif activation == RELU:
        for i from 0 <= i < count by LANES:
            v = where_positive(load(a + i), splat(1), splat(0))
            store(dz + i, load(da + i) * v)
    elif activation == LEAKY_RELU:
        for i from 0 <= i < count by LANES:
            v = where_positive(load(a + i), splat(1), splat(slope))
            store(dz + i, load(da + i) * v)
    elif dz != da:  # LINEAR
        memcpy(dz, da, count * sizeof(real))


cdef void softmax_lanes(real* z, Py_ssize_t n, Py_ssize_t stride) noexcept nogil:
    """In place for LANES examples: z[k * stride + lane] over the n classes k."""
    cdef Py_ssize_t k
    cdef vector e
    cdef vector largest = splat(-1) / splat(0)
    cdef vector total = splat(0)
    for k in range(n):
        largest = maximum(largest, load(z + k * stride))
    for k in range(n):
        e = exp_negative(load(z + k * stride) - largest)
        store(z + k * stride, e)
        total = total + e
    for k in range(n):
        store(z + k * stride, load(z + k * stride) / total)


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
