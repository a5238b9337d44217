# The output layer: the formula of each loss of rows.h, the cost, and dZ.


cdef inline vector mse "fastnn_mse"(vector a, vector y) noexcept nogil:
    return splat(0.5) * (a - y) * (a - y)


cdef inline vector smallest_normal() noexcept nogil:
    """The smallest probability whose logarithm is kept as it is."""
    return splat(1.1754943508222875e-38 if SINGLE else 2.2250738585072014e-308)


cdef inline vector binary_cross_entropy "fastnn_binary_cross_entropy"(
    vector a, vector y
) noexcept nogil:
    cdef vector below_one = splat(1 - (5.960464477539063e-08 if SINGLE else 1.1102230246251565e-16))
    return -(
        y * log(maximum(smallest_normal(), a))
        + (splat(1) - y) * log_of_one_minus(minimum(below_one, a))
    )


cdef inline vector cross_entropy "fastnn_cross_entropy"(vector a, vector y) noexcept nogil:
    return -y * log(maximum(smallest_normal(), a))


cdef double panel_cost(
    const real* a, const real* y, Py_ssize_t n, int loss, Py_ssize_t count
) noexcept nogil:
    """Sum of the loss over the first `count` examples of a panel."""
    cdef real lanes[PANEL]
    cdef vector left = splat(0)
    cdef vector right = splat(0)
    cdef Py_ssize_t k, lane
    cdef double total = 0
    for k in range(n):
        left = left + loss_of(load(a + k * PANEL), load(y + k * PANEL), loss)
        right = right + loss_of(load(a + k * PANEL + LANES), load(y + k * PANEL + LANES), loss)
    store(lanes, left)
    store(lanes + LANES, right)
    for lane in range(count):
        total += lanes[lane]
    return total


cdef bint is_paired(int loss, int activation) noexcept nogil:
    """Whether dZ = A - Y."""
    return (
        (loss == MSE and activation == LINEAR)
        or (loss == BINARY_CROSS_ENTROPY and activation == SIGMOID)
        or (loss == CROSS_ENTROPY and activation == SOFTMAX)
    )


cdef void output_panels(
    const real* A, const real* Y, Py_ssize_t n, Py_ssize_t count, Py_ssize_t first,
    Py_ssize_t stop, int loss, int activation, real alpha, real* dZ, double* costs,
) noexcept nogil:
    """The loss summed over each panel, and dZ (unless NULL) with its padding zero, for panels
    first ... stop of those that hold `count` examples."""
    cdef Py_ssize_t p, i
    cdef Py_ssize_t size = n * PANEL
    for p in range(first, stop):
        costs[p] = panel_cost(
            A + p * size, Y + p * size, n, loss, min(count - p * PANEL, <Py_ssize_t>PANEL)
        )
    if dZ == NULL:
        return
    for i from first * size <= i < stop * size by LANES:
        store(dZ + i, load(A + i) - load(Y + i))
    if not is_paired(loss, activation):
        for p in range(first, stop):
            derivative_panel(
                dZ + p * size, A + p * size, n, activation, alpha, dZ + p * size
            )
    clear_padding(dZ, n, first, stop, count)
