# The register tile: one piece of code for the three products of a dense layer.
#
# The functions `..._rows` are inlined wherever they are called (see vector.h), with constant
# `rows`, `parts`, `registers` and `at_store`: their loops are unrolled, and the sums live in
# registers.


cdef struct Operand:
    # a[row, k] = data[row * row_stride + k * depth_stride], k in segments of `depth`.
    const real* data
    Py_ssize_t row_stride
    Py_ssize_t tile_stride   # from tile to tile, for each row: row_stride, unless packed
    Py_ssize_t depth_stride  # or -1: the tile's number of rows
    Py_ssize_t depth
    Py_ssize_t segments
    Py_ssize_t segment_stride


cdef enum:
    # What becomes of a sum at the store, beside an activation's code: c += factor * sum, or,
    # for DERIVATIVE + an activation's code, sum * g'.
    ADD = 8
    DERIVATIVE = 16


cdef struct Tiles:
    # Tiles in a row: in each c[row, lane] = sum over k of a[row, k] b[k, lane].
    Operand a
    const real* b            # a panel
    const real* initial      # what the sum of each row starts from; NULL: zero
    Py_ssize_t a_step        # from tile to tile: of a,
    Py_ssize_t b_step
    Py_ssize_t c_step        # of c and A,
    Py_ssize_t initial_step
    bint resume              # c holds the sum over the k before these
    bint c_is_far            # not in the L1 cache: bring it there while the sums are made
    real* c
    Py_ssize_t c_stride      # from row to row,
    Py_ssize_t c_lane        # and from lane to lane: 1, but for ADD
    bint padded              # c has room for all lanes of the panel
    Py_ssize_t lanes         # of the panel, that count: 1 ... PANEL
    int at_store
    real factor              # of ADD; the slope of leaky_relu
    const real* A            # for DERIVATIVE: the output of g, placed as c is, PANEL apart


cdef inline void finish_rows "fastnn_finish_rows"(
    int rows, int registers, int at_store, vector* left, vector* right, real* c,
    Py_ssize_t c_stride, const real* A, real factor,
) noexcept nogil:
    """The sums of a tile to c, in the way of `at_store`."""
    cdef int i
    for i in range(rows):
        if at_store == ADD:
            left[i] = load(c + i * c_stride) + splat(factor) * left[i]
            if registers == 2:
                right[i] = load(c + i * c_stride + LANES) + splat(factor) * right[i]
        elif at_store >= DERIVATIVE:
            left[i] = times_derivative(left[i], load(A + i * PANEL), at_store - DERIVATIVE, factor)
            if registers == 2:
                right[i] = times_derivative(
                    right[i], load(A + i * PANEL + LANES), at_store - DERIVATIVE, factor
                )
        else:
            left[i] = activated(left[i], at_store, factor)
            if registers == 2:
                right[i] = activated(right[i], at_store, factor)
        store(c + i * c_stride, left[i])
        if registers == 2:
            store(c + i * c_stride + LANES, right[i])


cdef void activate_tile(
    real* c, Py_ssize_t rows, Py_ssize_t lanes, Py_ssize_t c_stride, int activation
) noexcept nogil:
    """c = g(c) for rows of a panel."""
    cdef Py_ssize_t i
    if c_stride == PANEL:
        activate_run(c, rows * PANEL, activation, 0, c)
    else:
        for i in range(rows):
            activate_run(c + i * c_stride, lanes, activation, 0, c + i * c_stride)


cdef inline void tile_rows "fastnn_tile_rows"(
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
    cdef const real* initial = t.initial
    cdef const real* A = t.A
    cdef real* c = t.c
    cdef Py_ssize_t depth_stride = t.a.depth_stride if t.a.depth_stride >= 0 else rows
    cdef Py_ssize_t k, segment, tile
    cdef int i, part
    for tile in range(count):
        b = t.b + tile * t.b_step
        if t.c_is_far:
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
            k = t.a.depth
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
        if t.at_store == ADD:
            finish_rows(rows, registers, ADD, left, right, c, t.c_stride, NULL, t.factor)
        elif t.at_store == RELU:
            finish_rows(rows, registers, RELU, left, right, c, t.c_stride, NULL, 0)
        elif t.at_store == LEAKY_RELU:
            finish_rows(rows, registers, LEAKY_RELU, left, right, c, t.c_stride, NULL, t.factor)
        elif t.at_store < DERIVATIVE:
            finish_rows(rows, registers, LINEAR, left, right, c, t.c_stride, NULL, 0)
        else:
            finish_derivative(rows, registers, t.at_store, left, right, c, A, t.factor)
        c += t.c_step
        A += t.c_step
        initial += t.initial_step
    if t.at_store != SIGMOID and t.at_store != TANH:
        return
    if t.c_step == rows * t.c_stride:
        activate_tile(t.c, count * rows, registers * LANES, t.c_stride, t.at_store)
    else:
        for tile in range(count):
            activate_tile(
                t.c + tile * t.c_step, rows, registers * LANES, t.c_stride, t.at_store
            )


cdef inline void finish_derivative "fastnn_finish_derivative"(
    int rows, int registers, int at_store, vector* left, vector* right, real* c, const real* A,
    real factor,
) noexcept nogil:
    """`finish_rows`, made anew for each activation."""
    if at_store == DERIVATIVE + SIGMOID:
        finish_rows(rows, registers, DERIVATIVE + SIGMOID, left, right, c, PANEL, A, 0)
    elif at_store == DERIVATIVE + TANH:
        finish_rows(rows, registers, DERIVATIVE + TANH, left, right, c, PANEL, A, 0)
    elif at_store == DERIVATIVE + RELU:
        finish_rows(rows, registers, DERIVATIVE + RELU, left, right, c, PANEL, A, 0)
    elif at_store == DERIVATIVE + LEAKY_RELU:
        finish_rows(rows, registers, DERIVATIVE + LEAKY_RELU, left, right, c, PANEL, A, factor)
    else:
        finish_rows(rows, registers, LINEAR, left, right, c, PANEL, NULL, 0)


cdef void narrow_tiles(int rows, const Tiles* t, Py_ssize_t count) noexcept nogil:
    """`tile_rows` for panels of which one register counts."""
    if rows == 8 and TILE_ROWS >= 8:
        tile_rows(8, 1, 1, t, count)
    elif rows == 7 and TILE_ROWS >= 8:
        tile_rows(7, 1, 1, t, count)
    elif rows == 6:
        tile_rows(6, 2, 1, t, count)
    elif rows == 5:
        tile_rows(5, 2, 1, t, count)
    elif rows == 4:
        tile_rows(4, 2, 1, t, count)
    elif rows == 3:
        tile_rows(3, 4, 1, t, count)
    elif rows == 2:
        tile_rows(2, 4, 1, t, count)
    else:
        tile_rows(1, 8, 1, t, count)


cdef void wide_tiles(int rows, const Tiles* t, Py_ssize_t count) noexcept nogil:
    """`tile_rows`, made anew for each number of rows."""
    if rows == 8 and TILE_ROWS >= 8:
        tile_rows(8, 1, 2, t, count)
    elif rows == 7 and TILE_ROWS >= 8:
        tile_rows(7, 1, 2, t, count)
    elif rows == 6:
        tile_rows(6, 1, 2, t, count)
    elif rows == 5:
        tile_rows(5, 1, 2, t, count)
    elif rows == 4:
        tile_rows(4, 1, 2, t, count)
    elif rows == 3:
        tile_rows(3, 2, 2, t, count)
    elif rows == 2:
        tile_rows(2, 2, 2, t, count)
    else:
        tile_rows(1, 4, 2, t, count)


cdef enum:
    # 12 sums, 3 + 1 operands: 16 registers.
    DOT_ROWS = 3
    DOT_COLUMNS = 4


cdef inline void dot_tile_rows "fastnn_dot_tile_rows"(
    int rows, int columns, int parts, const real* x, Py_ssize_t x_panel,
    const real* y, Py_ssize_t y_panel, Py_ssize_t panels, real scale,
    real* out, Py_ssize_t out_stride,
) noexcept nogil:
    """out[i, j] += scale * sum over the examples of x[i, example] y[j, example], from panels.

    The halves of a panel are taken one after the other, or, with `parts` = 2, side by side
    into sums of their own (see `tile_rows`).
    """
    cdef vector total[DOT_ROWS * DOT_COLUMNS]
    cdef real sums[DOT_COLUMNS]
    cdef vector v
    cdef const real* x_p
    cdef const real* y_p
    cdef Py_ssize_t p, half
    cdef int i, j, part
    for i in range(rows * columns * parts):
        total[i] = splat(0)
    for half in range(3 - parts):
        x_p = x + half * LANES
        y_p = y + half * LANES
        for p in range(panels):
            for part in range(parts):
                for i in range(rows):
                    v = load(x_p + i * PANEL + part * LANES)
                    for j in range(columns):
                        total[(part * rows + i) * columns + j] = (
                            total[(part * rows + i) * columns + j]
                            + v * load(y_p + j * PANEL + part * LANES)
                        )
            x_p += x_panel
            y_p += y_panel
    for i in range(rows * columns, rows * columns * parts):
        total[i - rows * columns] = total[i - rows * columns] + total[i]
    for i in range(rows):
        if columns == 4:
            sum_lanes_of_4(&total[i * 4], sums)
        else:
            for j in range(columns):
                sums[j] = sum_lanes(total[i * columns + j])
        for j in range(columns):
            out[i * out_stride + j] += scale * sums[j]


cdef void dot_tile(
    int rows, int columns, const real* x, Py_ssize_t x_panel, const real* y, Py_ssize_t y_panel,
    Py_ssize_t panels, real scale, real* out, Py_ssize_t out_stride,
) noexcept nogil:
    """`dot_tile_rows`, made anew for each number of rows and columns."""
    if rows == 3 and columns == 4:
        dot_tile_rows(3, 4, 1, x, x_panel, y, y_panel, panels, scale, out, out_stride)
    elif rows == 3 and columns == 3:
        dot_tile_rows(3, 3, 1, x, x_panel, y, y_panel, panels, scale, out, out_stride)
    elif rows == 3 and columns == 2:
        dot_tile_rows(3, 2, 2, x, x_panel, y, y_panel, panels, scale, out, out_stride)
    elif rows == 3:
        dot_tile_rows(3, 1, 2, x, x_panel, y, y_panel, panels, scale, out, out_stride)
    elif rows == 2 and columns == 4:
        dot_tile_rows(2, 4, 1, x, x_panel, y, y_panel, panels, scale, out, out_stride)
    elif rows == 2 and columns == 3:
        dot_tile_rows(2, 3, 2, x, x_panel, y, y_panel, panels, scale, out, out_stride)
    elif rows == 2 and columns == 2:
        dot_tile_rows(2, 2, 2, x, x_panel, y, y_panel, panels, scale, out, out_stride)
    elif rows == 2:
        dot_tile_rows(2, 1, 2, x, x_panel, y, y_panel, panels, scale, out, out_stride)
    elif columns == 4:
        dot_tile_rows(1, 4, 2, x, x_panel, y, y_panel, panels, scale, out, out_stride)
    elif columns == 3:
        dot_tile_rows(1, 3, 2, x, x_panel, y, y_panel, panels, scale, out, out_stride)
    elif columns == 2:
        dot_tile_rows(1, 2, 2, x, x_panel, y, y_panel, panels, scale, out, out_stride)
    else:
        dot_tile_rows(1, 1, 2, x, x_panel, y, y_panel, panels, scale, out, out_stride)
