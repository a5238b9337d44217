# The register tile: one piece of code for the three products of a dense layer.
#
# `microkernel` and `finish_rows` are inlined wherever they are called (see rows.h), with constant
# `rows`, `parts`, `registers`, `epilogue` and `activation`: their loops are unrolled, and the
# sums live in registers.


cdef struct Operand:
    # a[row, k] = data[row * row_stride + k * depth_stride], k in segments of `depth`.
    const real* data
    Py_ssize_t row_stride
    Py_ssize_t tile_stride   # from tile to tile, for each row: row_stride, unless packed
    Py_ssize_t depth_stride
    Py_ssize_t depth
    Py_ssize_t last_depth    # of the last segment
    Py_ssize_t segments
    Py_ssize_t segment_stride
    bint packed              # tile by tile: depth_stride is the tile's number of rows


cdef struct Tiles:
    # Tiles in a row: in each c[row, lane] = sum over k of a[row, k] b[k, lane].
    Operand a
    const real* b            # a panel
    const real* initial      # what the sum of each row starts from; NULL: zero
    Py_ssize_t a_step        # from tile to tile: of a,
    Py_ssize_t b_step
    Py_ssize_t c_step        # of c and `other`,
    Py_ssize_t initial_step
    bint resume              # c holds the sum over the k before these
    bint prefetch_c          # c is not in the L1 cache: bring it there while the sums are made
    real* c
    Py_ssize_t c_stride      # from row to row,
    Py_ssize_t c_lane        # and from lane to lane: 1, but for ADD
    bint padded              # c has room for all lanes of the panel
    Py_ssize_t lanes         # of the panel, that count: 1 ... PANEL
    int epilogue             # what becomes of the sums: a kind (rows.h),
    int activation           # for ACTIVATE a cheap one, for TIMES_DERIVATIVE one from the output
    int late_activation      # applied to the stored tile, or LINEAR
    real alpha               # of the activations
    real scale               # of ADD
    const real* other        # for TIMES and TIMES_DERIVATIVE: a factor, or the output of g,
                             # placed as c is, PANEL apart


cdef inline void finish_rows "fastnn_finish_rows"(
    int rows, int registers, int epilogue, int activation, vector* left, vector* right, real* c,
    Py_ssize_t c_stride, const real* other, real alpha, real scale,
) noexcept nogil:
    """The sums of a tile to c, in the way of the epilogue."""
    cdef vector derivative  # not used
    cdef int i
    for i in range(rows):
        if epilogue == ADD:
            left[i] = load(c + i * c_stride) + splat(scale) * left[i]
            if registers == 2:
                right[i] = load(c + i * c_stride + LANES) + splat(scale) * right[i]
        elif epilogue == TIMES_DERIVATIVE:
            left[i] = left[i] * derivative_of(load(other + i * PANEL), activation, alpha)
            if registers == 2:
                right[i] = right[i] * derivative_of(
                    load(other + i * PANEL + LANES), activation, alpha
                )
        elif epilogue == TIMES:
            left[i] = left[i] * load(other + i * PANEL)
            if registers == 2:
                right[i] = right[i] * load(other + i * PANEL + LANES)
        else:  # ACTIVATE
            left[i] = activated(left[i], activation, alpha, &derivative)
            if registers == 2:
                right[i] = activated(right[i], activation, alpha, &derivative)
        store(c + i * c_stride, left[i])
        if registers == 2:
            store(c + i * c_stride + LANES, right[i])


cdef void activate_stored(const Tiles* t, int rows, int lanes, Py_ssize_t count) noexcept nogil:
    """c = g(c) for `count` tiles that were just stored, while they are in the L1 cache."""
    cdef Py_ssize_t tile, i
    cdef real* c
    if t.c_stride == PANEL and t.c_step == rows * PANEL:  # all in one piece
        activate_run(t.c, count * rows * PANEL, t.late_activation, t.alpha, t.c, NULL)
        return
    for tile in range(count):
        c = t.c + tile * t.c_step
        if t.c_stride == PANEL:
            activate_run(c, rows * PANEL, t.late_activation, t.alpha, c, NULL)
            continue
        for i in range(rows):
            activate_run(c, lanes, t.late_activation, t.alpha, c, NULL)
            c += t.c_stride


cdef inline void microkernel "fastnn_microkernel"(
    int rows, int parts, int registers, const void* tiles, Py_ssize_t count
) noexcept nogil:
    """`count` tiles of `rows` rows each.

    A multiply-add takes four cycles and two start in each: where a tile has few sums, `parts`
    of them for interleaved k keep both busy.
    """
    cdef const Tiles* t = <const Tiles*>tiles
    cdef vector left[12]
    cdef vector right[12]
    cdef vector b_left, b_right, weight
    cdef const real* a_k
    cdef const real* b
    cdef const real* initial
    cdef const real* other
    cdef real* c = t.c
    cdef Py_ssize_t depth_stride = rows if t.a.packed else t.a.depth_stride
    cdef Py_ssize_t k, segment, tile
    cdef int i, part
    for tile in range(count):
        b = t.b + tile * t.b_step
        initial = moved(t.initial, tile * t.initial_step)
        if t.prefetch_c:
            for i in range(rows):
                prefetch(c + i * t.c_stride)
                prefetch(c + i * t.c_stride + registers * LANES - 1)
        for i in range(rows * parts):
            left[i] = splat(0)
            if i < rows and initial != NULL:
                left[i] = splat(initial[i])
            right[i] = left[i]
        for segment in range(t.a.segments):
            a_k = t.a.data + tile * t.a_step + segment * t.a.segment_stride
            k = t.a.depth if segment + 1 < t.a.segments else t.a.last_depth
            while k >= parts:
                for part in range(parts):
                    b_left = load(b + part * PANEL)
                    b_right = load(b + part * PANEL + LANES)
                    for i in range(rows):
                        weight = splat(a_k[i * t.a.row_stride + part * depth_stride])
                        left[part * rows + i] = left[part * rows + i] + weight * b_left
                        if registers == 2:
                            right[part * rows + i] = right[part * rows + i] + weight * b_right
                a_k += parts * depth_stride
                b += parts * PANEL
                k -= parts
            while parts > 1 and k > 0:
                for i in range(rows):
                    left[i] = left[i] + splat(a_k[i * t.a.row_stride]) * load(b)
                    if registers == 2:
                        right[i] = right[i] + splat(a_k[i * t.a.row_stride]) * load(b + LANES)
                a_k += depth_stride
                b += PANEL
                k -= 1
        for i in range(rows, rows * parts):
            left[i % rows] = left[i % rows] + left[i]
            if registers == 2:
                right[i % rows] = right[i % rows] + right[i]
        if t.resume:
            for i in range(rows):
                left[i] = left[i] + load(c + i * t.c_stride)
                if registers == 2:
                    right[i] = right[i] + load(c + i * t.c_stride + LANES)
        other = moved(t.other, tile * t.c_step)
        finish_tile(
            rows, registers, t.epilogue, t.activation, left, right, c, t.c_stride, other, t.alpha,
            t.scale,
        )
        c += t.c_step
    if t.late_activation != LINEAR:
        activate_stored(t, rows, registers * LANES, count)


cdef void narrow_tiles(int rows, const Tiles* t, Py_ssize_t count) noexcept nogil:
    """`microkernel` for panels of which one register counts."""
    if rows == 8 and TILE_ROWS >= 8:
        microkernel(8, 1, 1, t, count)
    elif rows == 7 and TILE_ROWS >= 8:
        microkernel(7, 1, 1, t, count)
    elif rows == 6:
        microkernel(6, 2, 1, t, count)
    elif rows == 5:
        microkernel(5, 2, 1, t, count)
    elif rows == 4:
        microkernel(4, 2, 1, t, count)
    elif rows == 3:
        microkernel(3, 4, 1, t, count)
    elif rows == 2:
        microkernel(2, 4, 1, t, count)
    else:
        microkernel(1, 8, 1, t, count)


cdef void wide_tiles(int rows, const Tiles* t, Py_ssize_t count) noexcept nogil:
    """`microkernel` for whole panels."""
    if rows == 8 and TILE_ROWS >= 8:
        microkernel(8, 1, 2, t, count)
    elif rows == 7 and TILE_ROWS >= 8:
        microkernel(7, 1, 2, t, count)
    elif rows == 6:
        microkernel(6, 1, 2, t, count)
    elif rows == 5:
        microkernel(5, 1, 2, t, count)
    elif rows == 4:
        microkernel(4, 1, 2, t, count)
    elif rows == 3:
        microkernel(3, 2, 2, t, count)
    elif rows == 2:
        microkernel(2, 2, 2, t, count)
    else:
        microkernel(1, 4, 2, t, count)
