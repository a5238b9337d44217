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
    double keep           # 1 - dropout of its outputs in training
    bint has_D            # D = g'(Z) is kept beside A (see `D_of`): g' is not cheap from A, or
                          # there is dropout
    Py_ssize_t D          # features before D[l]


cdef void forward_panels(
    const Layer* layer, const real* W, const real* b, const real* A_prev, OutputView A,
    real* D, Py_ssize_t first, Py_ssize_t stop, Py_ssize_t count, real* scratch,
) noexcept nogil:
    """A = g(W A_prev + b), and D = g'(Z) unless it is NULL, panels first ... stop of those that
    hold `count` examples.

    The A of softmax must be in panels, and so must D and its A.
    """
    cdef Product p
    cdef Py_ssize_t panel
    cdef Py_ssize_t size = layer.n_out * PANEL
    cdef bint afterwards = layer.activation == SOFTMAX or D != NULL
    memset(&p, 0, sizeof(p))
    p.tiles.a = rows_of(W, layer.n_in, layer.n_in, 1)
    p.tiles.initial = b
    p.tiles.b, p.b_panel = A_prev, layer.n_in * PANEL
    set_output(&p, &A)
    p.tiles.epilogue, p.tiles.alpha = ACTIVATE, layer.alpha
    p.tiles.activation = p.tiles.late_activation = LINEAR
    if not afterwards:
        if is_cheap(layer.activation):
            p.tiles.activation = layer.activation
        else:
            p.tiles.late_activation = layer.activation
    p.rows, p.lanes, p.packed_a = layer.n_out, count, scratch
    gemm(&p, 0, tiles_of(p.rows), first, stop)
    if afterwards:
        for panel in range(first, stop):
            activate_panel(
                A.data + panel * size, layer.n_out, layer.activation, layer.alpha,
                D + panel * size if D != NULL else NULL,
            )


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
    if unpacked > 0 and not forward_unpacked(layer, W, b, X, first, unpacked, A, check_finite):
        return False
    if not pack(
        X, NULL, first + done, count - done, count - done, packed, layer.n_in, check_finite
    ):
        return False
    forward_panels(
        layer, W, b, packed, view_from(&A, unpacked), NULL, 0, panels_of(count - done),
        count - done, scratch,
    )
    return True


cdef void backward_panels(
    const real* W, Py_ssize_t n_in, Py_ssize_t n_out, const real* dZ, const Layer* below,
    const real* A_prev, const real* D_prev, OutputView dZ_prev, Py_ssize_t first,
    Py_ssize_t stop, Py_ssize_t count, real* scratch,
) noexcept nogil:
    """dZ_prev = (W^T dZ) * g'(Z_prev), with g' of the layer below from D_prev, unless it is NULL,
    or else from A_prev, in the same panels.

    With `below` NULL, dA_prev = W^T dZ.  If not, dZ_prev must be in panels as well.
    """
    cdef Product p
    memset(&p, 0, sizeof(p))
    p.tiles.a = rows_of(W, 1, n_out, n_in)
    p.tiles.b, p.b_panel = dZ, n_out * PANEL
    set_output(&p, &dZ_prev)
    p.tiles.epilogue, p.tiles.activation, p.tiles.late_activation = ACTIVATE, LINEAR, LINEAR
    if below != NULL:
        p.tiles.alpha = below.alpha
        if D_prev != NULL:
            p.tiles.epilogue, p.tiles.other = TIMES, D_prev
        elif below.activation != LINEAR:
            p.tiles.epilogue, p.tiles.other = TIMES_DERIVATIVE, A_prev
            p.tiles.activation = below.activation
    p.rows, p.lanes, p.packed_a = n_in, count, scratch
    gemm(&p, 0, tiles_of(p.rows), first, stop)
