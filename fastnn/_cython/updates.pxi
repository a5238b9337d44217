# The optimizers: the formula of each update of rows.h, and what comes before it.
#
# A formula takes registers of w and of its gradient g, reads and writes those of the state, and
# returns the new w.  What is made of scalars and constants alone is made in float64, rounded
# once, and the same for all elements: the compiler takes it out of the loop.


cdef inline vector gradient_descent "fastnn_gradient_descent"(
    vector w, vector g, vector* state, const double* scalars, const double* constants
) noexcept nogil:
    return w - splat(<real>scalars[0]) * g


cdef inline vector adam "fastnn_adam"(
    vector w, vector g, vector* state, const double* scalars, const double* constants
) noexcept nogil:
    cdef double beta1 = constants[0]
    cdef double beta2 = constants[1]
    cdef double epsilon = constants[2]
    cdef double step_size = scalars[1]
    cdef double scale = scalars[2]
    state[0] = splat(<real>beta1) * state[0] + splat(<real>(1 - beta1)) * g
    state[1] = splat(<real>beta2) * state[1] + splat(<real>(1 - beta2)) * (g * g)
    return w - splat(<real>step_size) * state[0] / (
        square_root(state[1]) * splat(<real>scale) + splat(<real>epsilon)
    )


cdef inline vector momentum_step "fastnn_momentum"(
    vector w, vector g, vector* state, const double* scalars, const double* constants
) noexcept nogil:
    cdef double momentum = constants[0]
    cdef double velocity_rate = scalars[1]
    cdef double gradient_rate = scalars[2]
    state[0] = splat(<real>momentum) * state[0] + g
    return w - (splat(<real>velocity_rate) * state[0] + splat(<real>gradient_rate) * g)


cdef inline vector rmsprop "fastnn_rmsprop"(
    vector w, vector g, vector* state, const double* scalars, const double* constants
) noexcept nogil:
    cdef double learning_rate = scalars[0]
    cdef double rho = constants[0]
    cdef double epsilon = constants[1]
    state[0] = splat(<real>rho) * state[0] + splat(<real>(1 - rho)) * (g * g)
    return w - splat(<real>learning_rate) * g / (square_root(state[0]) + splat(<real>epsilon))


# --- runs of the flat vector ------------------------------------------------------------------


cdef struct Update:
    int code
    double constants[MAX_SCALARS]
    double l2
    double decay
    double clip_norm
    bint per_example              # see UpdateSpec


cdef inline void update_loop "fastnn_update_elements"(
    int code, int slots, real* w, const real* g, real scale, real* state, Py_ssize_t stride,
    Py_ssize_t count, const double* scalars, const double* constants,
) noexcept nogil:
    cdef double s[MAX_SCALARS]
    cdef double c[MAX_SCALARS]
    cdef vector kept[MAX_SLOTS]
    cdef Py_ssize_t i
    cdef int k
    for k in range(MAX_SCALARS):  # copies, which no store to w can change
        s[k], c[k] = scalars[k], constants[k]
    for i from 0 <= i < count by LANES:
        for k in range(slots):
            kept[k] = load(state + k * stride + i)
        store(w + i, updated(load(w + i), splat(scale) * load(g + i), kept, code, s, c))
        for k in range(slots):
            store(state + k * stride + i, kept[k])


cdef void update_line(
    const Update* update, const double* scalars, bint decays, real* w, const real* g, real scale,
    real* state, Py_ssize_t stride, Py_ssize_t count,
) noexcept nogil:
    """One step of `count` elements of w and of the state, whose vectors are `stride` apart; the
    gradient is scale * g."""
    cdef real rest[(2 + MAX_SLOTS) * LANES]
    cdef Py_ssize_t whole = count - count % LANES
    cdef Py_ssize_t bytes = (count - whole) * sizeof(real)
    cdef real share = <real>(scalars[0] * update.decay)
    cdef Py_ssize_t i
    cdef int k
    if decays and update.decay != 0:
        for i in range(count):
            w[i] -= share * w[i]
    update_elements(update.code, w, g, scale, state, stride, whole, scalars, update.constants)
    if whole == count:
        return
    memset(rest, 0, sizeof(rest))
    memcpy(rest, w + whole, bytes)
    memcpy(rest + LANES, g + whole, bytes)
    for k in range(slots_of(update.code)):
        memcpy(rest + (2 + k) * LANES, state + k * stride + whole, bytes)
    update_elements(
        update.code, rest, rest + LANES, scale, rest + 2 * LANES, LANES, LANES, scalars,
        update.constants,
    )
    memcpy(w + whole, rest, bytes)
    for k in range(slots_of(update.code)):
        memcpy(state + k * stride + whole, rest + (2 + k) * LANES, bytes)


cdef double sum_of_squares(const real* x, Py_ssize_t count) noexcept nogil:
    """In float64, in 32 sums: registers enough for an addition not to wait for the last one."""
    cdef double sums[32]
    cdef double total = 0
    cdef Py_ssize_t i, j
    memset(sums, 0, sizeof(sums))
    for i from 0 <= i <= count - 32 by 32:
        for j in range(32):
            sums[j] += <double>x[i + j] * <double>x[i + j]
    for i in range(count - count % 32, count):
        total += <double>x[i] * <double>x[i]
    for j in range(32):
        total += sums[j]
    return total
