# The output layer: the formula of each loss of rows.h, with its derivative; the cost, and dZ.
#
# A formula is that of one output a and its target y; NaN stays NaN.


cdef inline vector mse "fastnn_mse"(
    vector a, vector y, real alpha, vector* derivative
) noexcept nogil:
    derivative[0] = a - y
    return splat(0.5) * (a - y) * (a - y)


cdef inline vector smallest_normal() noexcept nogil:
    """The smallest probability whose logarithm, or reciprocal, is kept as it is."""
    return splat(1.1754943508222875e-38 if SINGLE else 2.2250738585072014e-308)


cdef inline vector binary_cross_entropy "fastnn_binary_cross_entropy"(
    vector a, vector y, real floor, vector* derivative
) noexcept nogil:
    cdef vector below_one = splat(1 - (5.960464477539063e-08 if SINGLE else 1.1102230246251565e-16))
    derivative[0] = (a - y) / maximum(smallest_normal(), a * (splat(1) - a))
    return -(
        y * log(maximum(maximum(smallest_normal(), splat(floor)), a))
        + (splat(1) - y) * log_of_one_minus(minimum(minimum(below_one, splat(1 - floor)), a))
    )


cdef inline vector cross_entropy "fastnn_cross_entropy"(
    vector a, vector y, real floor, vector* derivative
) noexcept nogil:
    derivative[0] = -y / maximum(smallest_normal(), a)
    return -y * log(maximum(maximum(smallest_normal(), splat(floor)), a))


cdef inline vector huber "fastnn_huber"(
    vector a, vector y, real delta, vector* derivative
) noexcept nogil:
    cdef vector r = magnitude(a - y)
    cdef vector inner = minimum(splat(delta), r)  # r^2 / 2 up to delta, then a straight line
    derivative[0] = minimum(splat(delta), maximum(splat(-delta), a - y))
    return inner * (r - splat(0.5) * inner)


cdef inline vector mae "fastnn_mae"(
    vector a, vector y, real alpha, vector* derivative
) noexcept nogil:
    cdef vector r = a - y
    derivative[0] = where_positive(r, splat(1), where_less(r, splat(0), splat(-1), r))
    return magnitude(r)


cdef inline vector poisson "fastnn_poisson"(
    vector a, vector y, real alpha, vector* derivative
) noexcept nogil:
    cdef vector largest = splat(3.4028234663852886e38 if SINGLE else 1.7976931348623157e308)
    cdef vector seen = maximum(smallest_normal(), a)
    derivative[0] = splat(1) - minimum(largest, y / seen)
    return a - y * log(seen)


# --- on panels ------------------------------------------------------------------------------


cdef inline void loss_derivative_loop "fastnn_loss_elements"(
    const real* a, const real* y, Py_ssize_t count, int loss, real alpha, real* da
) noexcept nogil:
    cdef vector derivative
    cdef Py_ssize_t i
    for i from 0 <= i < count by LANES:
        loss_of(load(a + i), load(y + i), loss, alpha, &derivative)
        store(da + i, derivative)


cdef double panel_cost(
    const real* a, const real* y, const real* weights, Py_ssize_t n, int loss, real alpha,
    Py_ssize_t count,
) noexcept nogil:
    """Sum of the loss over the first `count` examples of a panel, times their weights, if any."""
    cdef real lanes[PANEL]
    cdef vector left = splat(0)
    cdef vector right = splat(0)
    cdef vector derivative  # not used
    cdef Py_ssize_t k, lane
    cdef double total = 0
    for k in range(n):
        left = left + loss_of(load(a + k * PANEL), load(y + k * PANEL), loss, alpha, &derivative)
        right = right + loss_of(
            load(a + k * PANEL + LANES), load(y + k * PANEL + LANES), loss, alpha, &derivative
        )
    if weights != NULL:
        left = left * load(weights)
        right = right * load(weights + LANES)
    store(lanes, left)
    store(lanes + LANES, right)
    for lane in range(count):
        total += lanes[lane]
    return total


cdef void weigh_panel(real* dZ, const real* weights, Py_ssize_t n) noexcept nogil:
    """Each example's dZ times its weight."""
    cdef Py_ssize_t k
    for k from 0 <= k < n * PANEL by PANEL:
        store(dZ + k, load(dZ + k) * load(weights))
        store(dZ + k + LANES, load(dZ + k + LANES) * load(weights + LANES))


cdef struct Loss:
    int code
    real alpha
    bint paired              # dZ = A - Y


cdef struct Output:
    # The output layer's panels.
    Py_ssize_t n
    int activation
    real alpha
    const real* A
    const real* D            # or NULL
    const real* Y
    const real* weights      # or NULL: a panel of one feature
    real* dZ                 # or NULL


cdef void output_panels(
    const Output* out, const Loss* loss, Py_ssize_t count, Py_ssize_t first, Py_ssize_t stop,
    double* costs,
) noexcept nogil:
    """The loss summed over each panel, and dZ (unless NULL) with its padding zero, for panels
    first ... stop of those that hold `count` examples."""
    cdef Py_ssize_t p, i
    cdef Py_ssize_t size = out.n * PANEL
    cdef real* dZ = out.dZ
    for p in range(first, stop):
        costs[p] = panel_cost(
            out.A + p * size, out.Y + p * size, moved(out.weights, p * PANEL), out.n, loss.code,
            loss.alpha, min(count - p * PANEL, <Py_ssize_t>PANEL),
        )
    if dZ == NULL:
        return
    if loss.paired:
        for i from first * size <= i < stop * size by LANES:
            store(dZ + i, load(out.A + i) - load(out.Y + i))
    else:
        loss_derivative_elements(
            out.A + first * size, out.Y + first * size, (stop - first) * size, loss.code,
            loss.alpha, dZ + first * size,
        )
        for p in range(first, stop):
            backward_panel(
                dZ + p * size, out.A + p * size, moved(out.D, p * size), out.n, out.activation,
                out.alpha, dZ + p * size,
            )
    if out.weights != NULL:
        for p in range(first, stop):
            weigh_panel(dZ + p * size, out.weights + p * PANEL, out.n)
    clear_padding(dZ, out.n, first, stop, count)


cdef double sum_of_costs(const double* costs, Py_ssize_t count) noexcept nogil:
    """In eight sums side by side: of a thousand panels one alone would lose the last digit."""
    cdef double sums[8]
    cdef double total = 0
    cdef Py_ssize_t p
    memset(sums, 0, sizeof(sums))
    for p in range(count):
        sums[p % 8] += costs[p]
    for p in range(8):
        total += sums[p]
    return total
