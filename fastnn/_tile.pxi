# The register tile: one piece of code for the three products of a dense layer.
#
# `tile_rows` and `dot_tile_rows` are inlined wherever they are called (see _vector.h), with
# constant `rows`, `columns` and `parts`: their loops are unrolled and `left`, `right` and
# `total` live in registers.


cdef struct Operand:
    # a[row, k] = data[row * row_stride + k * depth_stride], k in segments of `depth`.
    const real* data
    Py_ssize_t row_stride
    Py_ssize_t depth_stride
    Py_ssize_t depth
    Py_ssize_t segments
    Py_ssize_t segment_stride


cdef inline void tile_rows "fastnn_tile_rows"(
    int rows, int parts, const void* operand, const real* b, const real* initial,
    real* c, Py_ssize_t c_stride, bint add, real scale,
) noexcept nogil:
    """c[row, column] = initial[row] + sum over k of a[row, k] b[k, column].

    With `add` the sum is scaled and added to c.  A multiply-add takes four cycles and two
    start in each: where there are few rows, `parts` sums for interleaved k keep them busy.
    """
    cdef const Operand* a = <const Operand*>operand
    cdef vector left[8]
    cdef vector right[8]
    cdef vector b_left, b_right, weight
    cdef const real* a_k
    cdef Py_ssize_t k, segment
    cdef int i, part
    for i in range(rows * parts):
        left[i] = splat(initial[i]) if initial != NULL and i < rows else splat(0)
        right[i] = left[i]
    for segment in range(a.segments):
        a_k = a.data + segment * a.segment_stride
        k = a.depth
        while k >= parts:
            for part in range(parts):
                b_left = load(b + part * PANEL)
                b_right = load(b + part * PANEL + LANES)
                for i in range(rows):
                    weight = splat(a_k[i * a.row_stride + part * a.depth_stride])
                    left[part * rows + i] = left[part * rows + i] + weight * b_left
                    right[part * rows + i] = right[part * rows + i] + weight * b_right
            a_k += parts * a.depth_stride
            b += parts * PANEL
            k -= parts
        while parts > 1 and k > 0:
            for i in range(rows):
                left[i] = left[i] + splat(a_k[i * a.row_stride]) * load(b)
                right[i] = right[i] + splat(a_k[i * a.row_stride]) * load(b + LANES)
            a_k += a.depth_stride
            b += PANEL
            k -= 1
    for i in range(rows, rows * parts):
        left[i % rows] = left[i % rows] + left[i]
        right[i % rows] = right[i % rows] + right[i]
    for i in range(rows):
        if add:
            left[i] = load(c) + splat(scale) * left[i]
            right[i] = load(c + LANES) + splat(scale) * right[i]
        store(c, left[i])
        store(c + LANES, right[i])
        c += c_stride


cdef void tile(
    int rows, const Operand* a, const real* b, const real* initial,
    real* c, Py_ssize_t c_stride, bint add, real scale,
) noexcept nogil:
    """`tile_rows`, made anew for each number of rows."""
    if rows == 8 and TILE_ROWS >= 8:
        tile_rows(8, 1, a, b, initial, c, c_stride, add, scale)
    elif rows == 7 and TILE_ROWS >= 8:
        tile_rows(7, 1, a, b, initial, c, c_stride, add, scale)
    elif rows == 6:
        tile_rows(6, 1, a, b, initial, c, c_stride, add, scale)
    elif rows == 5:
        tile_rows(5, 1, a, b, initial, c, c_stride, add, scale)
    elif rows == 4:
        tile_rows(4, 1, a, b, initial, c, c_stride, add, scale)
    elif rows == 3:
        tile_rows(3, 2, a, b, initial, c, c_stride, add, scale)
    elif rows == 2:
        tile_rows(2, 2, a, b, initial, c, c_stride, add, scale)
    else:
        tile_rows(1, 4, a, b, initial, c, c_stride, add, scale)


cdef inline Py_ssize_t tiles_of(Py_ssize_t n) noexcept nogil:
    return (n + TILE_ROWS - 1) // TILE_ROWS


cdef inline void even_rows(Py_ssize_t n, Py_ssize_t* even, Py_ssize_t* longer) noexcept nogil:
    """Even shares of n rows, 10 = 5 + 5 and not 6 + 4: a tile that starts before row `longer`
    has `even` + 1 rows, the others `even`."""
    cdef Py_ssize_t tiles = max(1, tiles_of(n))
    even[0] = n // tiles
    longer[0] = n % tiles * (even[0] + 1)


cdef inline Py_ssize_t tile_start(Py_ssize_t t, Py_ssize_t n) noexcept nogil:
    """First row of tile t of n rows."""
    cdef Py_ssize_t tiles = max(1, tiles_of(n))
    return t * (n // tiles) + min(t, n % tiles)


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
