# dW by dot products: their lanes are examples, which are added up at the end.


cdef enum:
    # 12 sums, 3 + 1 operands: 16 registers.
    DOT_ROWS = 3
    DOT_COLUMNS = 4


cdef inline void dot_rows "fastnn_dot_rows"(
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
    """`dot_rows`, specialised for each number of rows and columns."""
    if rows == 3 and columns == 4:
        dot_rows(3, 4, 1, x, x_panel, y, y_panel, panels, scale, out, out_stride)
    elif rows == 3 and columns == 3:
        dot_rows(3, 3, 1, x, x_panel, y, y_panel, panels, scale, out, out_stride)
    elif rows == 3 and columns == 2:
        dot_rows(3, 2, 2, x, x_panel, y, y_panel, panels, scale, out, out_stride)
    elif rows == 3:
        dot_rows(3, 1, 2, x, x_panel, y, y_panel, panels, scale, out, out_stride)
    elif rows == 2 and columns == 4:
        dot_rows(2, 4, 1, x, x_panel, y, y_panel, panels, scale, out, out_stride)
    elif rows == 2 and columns == 3:
        dot_rows(2, 3, 2, x, x_panel, y, y_panel, panels, scale, out, out_stride)
    elif rows == 2 and columns == 2:
        dot_rows(2, 2, 2, x, x_panel, y, y_panel, panels, scale, out, out_stride)
    elif rows == 2:
        dot_rows(2, 1, 2, x, x_panel, y, y_panel, panels, scale, out, out_stride)
    elif columns == 4:
        dot_rows(1, 4, 2, x, x_panel, y, y_panel, panels, scale, out, out_stride)
    elif columns == 3:
        dot_rows(1, 3, 2, x, x_panel, y, y_panel, panels, scale, out, out_stride)
    elif columns == 2:
        dot_rows(1, 2, 2, x, x_panel, y, y_panel, panels, scale, out, out_stride)
    else:
        dot_rows(1, 1, 2, x, x_panel, y, y_panel, panels, scale, out, out_stride)


cdef void add_dW_by_dots(
    const real* dZ, Py_ssize_t n_out, const real* A_prev, Py_ssize_t n_in, Py_ssize_t panels,
    real scale, real* dW, Py_ssize_t first, Py_ssize_t stop,
) noexcept nogil:
    """dW += scale dZ A_prev^T, columns first ... stop: lanes are examples, added up at the end."""
    cdef Py_ssize_t row, column
    for row from 0 <= row < n_out by DOT_ROWS:
        for column from first <= column < stop by DOT_COLUMNS:
            dot_tile(
                <int>min(n_out - row, <Py_ssize_t>DOT_ROWS),
                <int>min(stop - column, <Py_ssize_t>DOT_COLUMNS),
                dZ + row * PANEL, n_out * PANEL, A_prev + column * PANEL, n_in * PANEL, panels,
                scale, dW + row * n_in + column, n_in,
            )
