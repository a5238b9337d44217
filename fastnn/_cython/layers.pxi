# Dense layers on panels: forward, and dZ of the layer below.


cdef struct Layer:
    Py_ssize_t n_in
    Py_ssize_t n_out
    int activation
    real alpha            # of the activation
    Py_ssize_t W          # where W and b start in the flat vector
    Py_ssize_t b
    Py_ssize_t A          # features before A[l] in the working memory: times its columns,
                          # where its panels start


cdef void forward_panels(
    const Layer* layer, const real* W, const real* b, const real* A_prev, OutputView A,
    Py_ssize_t first, Py_ssize_t stop, Py_ssize_t count, real* scratch,
) noexcept nogil:
    """A = g(W A_prev + b), panels first ... stop of those that hold `count` examples.

    The A of softmax must be in panels.
    """
    cdef Product p
    cdef Py_ssize_t panel
    memset(&p, 0, sizeof(p))
    p.tiles.a = rows_of(W, layer.n_in, layer.n_in, 1)
    p.tiles.initial = b
    p.tiles.b, p.b_panel = A_prev, layer.n_in * PANEL
    set_output(&p, &A)
    p.tiles.epilogue, p.tiles.alpha = ACTIVATE, layer.alpha
    p.tiles.activation = p.tiles.late_activation = LINEAR
    if is_cheap(layer.activation):
        p.tiles.activation = layer.activation
    elif layer.activation != SOFTMAX:
        p.tiles.late_activation = layer.activation
    p.rows, p.lanes, p.packed_a = layer.n_out, count, scratch
    gemm(&p, 0, tiles_of(p.rows), first, stop)
    if layer.activation == SOFTMAX:
        for panel in range(first, stop):
            activate_panel(A.data + panel * p.c_panel, layer.n_out, SOFTMAX, 0)


cdef bint forward_columns(
    const Layer* layer, const real* W, const real* b, const Matrix* X, Py_ssize_t first,
    Py_ssize_t count, real* packed, OutputView A, real* scratch, bint check_finite,
) noexcept nogil:
    """A = g(W X + b), columns first ... first + count of the caller's X.

    `packed` has room for their panels.  The A of softmax must be in panels.  Return False where
    these columns are to be checked and are not finite.
    """
    cdef Py_ssize_t unpacked = count // PANEL if is_unpacked(layer, X) else 0
    cdef Py_ssize_t done = unpacked * PANEL
    if check_finite and not finite_columns(X, first + done, count - done):
        return False
    if unpacked > 0 and not forward_unpacked(layer, W, b, X, first, unpacked, A, check_finite):
        return False
    pack(X, NULL, first + done, count - done, count - done, packed, layer.n_in)
    forward_panels(
        layer, W, b, packed, view_from(&A, unpacked), 0, panels_of(count - done), count - done,
        scratch,
    )
    return True


cdef void backward_panels(
    const real* W, Py_ssize_t n_in, Py_ssize_t n_out, const real* dZ, const real* A_prev,
    int activation, real alpha, OutputView dZ_prev, Py_ssize_t first, Py_ssize_t stop,
    Py_ssize_t count, real* scratch,
) noexcept nogil:
    """dZ_prev = (W^T dZ) * g'(Z_prev), with g' from A_prev, in the same panels.

    dZ_prev must be in panels as well, unless g is linear.
    """
    cdef Product p
    memset(&p, 0, sizeof(p))
    p.tiles.a = rows_of(W, 1, n_out, n_in)
    p.tiles.b, p.b_panel = dZ, n_out * PANEL
    set_output(&p, &dZ_prev)
    p.tiles.epilogue = ACTIVATE if activation == LINEAR else TIMES_DERIVATIVE
    p.tiles.activation, p.tiles.late_activation, p.tiles.alpha = activation, LINEAR, alpha
    p.tiles.other = A_prev
    p.rows, p.lanes, p.packed_a = n_in, count, scratch
    gemm(&p, 0, tiles_of(p.rows), first, stop)
