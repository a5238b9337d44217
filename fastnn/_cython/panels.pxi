# Panels: PANEL examples side by side, feature after feature, and the way there and back.


cdef inline Py_ssize_t panels_of(Py_ssize_t columns) noexcept nogil:
    return (columns + PANEL - 1) // PANEL


cdef struct OutputView:
    # Where the panels of a product go: one panel after the other, or an array's columns.
    real* data
    Py_ssize_t row_stride
    Py_ssize_t panel_stride
    bint padded              # up to whole panels


cdef inline OutputView panels_at(real* data, Py_ssize_t n) noexcept nogil:
    cdef OutputView view
    view.data, view.row_stride, view.panel_stride, view.padded = data, PANEL, n * PANEL, True
    return view


cdef inline OutputView columns_of(const Matrix* A, Py_ssize_t first) noexcept nogil:
    """Columns of A from `first` on, where its rows are contiguous."""
    cdef OutputView view
    view.data, view.row_stride = A.data + first, A.row_stride
    view.panel_stride, view.padded = PANEL, False
    return view


cdef inline OutputView view_from(const OutputView* view, Py_ssize_t panel) noexcept nogil:
    """The same from that panel on."""
    cdef OutputView later = view[0]
    later.data = view.data + panel * view.panel_stride
    return later


cdef bint pack(
    const Matrix* X, const uint32_t* order, Py_ssize_t first, Py_ssize_t count,
    Py_ssize_t batch_size, real* panels, Py_ssize_t n, bint check_finite=False,
) noexcept nogil:
    """Columns first ... first + count of X (through `order`, if given) to panels of n features.

    Every batch of `batch_size` columns starts on a panel of its own.  Return False where they are
    to be checked, which comes with the packing, and are not finite.
    """
    cdef Py_ssize_t batch, p, width, group, k
    cdef bint finite = True
    cdef const real* row
    if X.column_stride == 1 and order != NULL:
        for k in range(X.rows):
            row = X.data + k * X.row_stride
            gather_row(
                row, row + X.row_stride if k + 1 < X.rows else row, X.columns, order + first,
                count, batch_size, X.rows * X.columns > L2_ELEMENTS, panels + k * PANEL, n * PANEL,
            )
        return not check_finite or finite_line(panels, panels_of(count) * n * PANEL)
    if check_finite and X.column_stride != 1:
        # Before: it reads on and on, as the machine foresees, and what it read is in the cache.
        return finite_columns(X, first, count) and pack(
            X, order, first, count, batch_size, panels, n
        )
    for batch from 0 <= batch < count by batch_size:
        width = min(batch_size, count - batch)
        p = 0
        if X.column_stride == 1:
            while (p + 1) * PANEL <= width:
                group = min(<Py_ssize_t>PACK_GROUP, width // PANEL - p)
                finite &= pack_group(
                    X, first + batch + p * PANEL, group, panels + p * n * PANEL, n * PANEL
                )
                p += group
        for p in range(p, panels_of(width)):
            pack_panel(
                X, order, first + batch + p * PANEL, min(width - p * PANEL, <Py_ssize_t>PANEL),
                panels + p * n * PANEL,
            )
            if check_finite:
                finite &= finite_line(panels + p * n * PANEL, n * PANEL)
        panels += panels_of(width) * n * PANEL
    return finite or not check_finite


cdef bint pack_group(
    const Matrix* X, Py_ssize_t first, Py_ssize_t group, real* panels, Py_ssize_t panel_size
) noexcept nogil:
    """Up to PACK_GROUP whole panels of columns, where each row of X is contiguous.

    Return whether they are finite: numbers that are in registers anyway, times zero.
    """
    cdef vector left, right
    cdef vector left_zero = splat(0)
    cdef vector right_zero = splat(0)
    cdef Py_ssize_t k, p
    cdef const real* row = X.data + first
    for k in range(X.rows):
        for p in range(group):
            if k + PACK_PREFETCH_ROWS < X.rows:
                prefetch(row + PACK_PREFETCH_ROWS * X.row_stride + p * PANEL)
            left, right = load(row + p * PANEL), load(row + p * PANEL + LANES)
            store(panels + p * panel_size, left)
            store(panels + p * panel_size + LANES, right)
            left_zero = left_zero + left * splat(0)
            right_zero = right_zero + right * splat(0)
        row += X.row_stride
        panels += PANEL
    return sum_lanes(left_zero + right_zero) == 0


cdef inline void gather_row(
    const real* row, const real* next_row, Py_ssize_t columns, const uint32_t* order,
    Py_ssize_t count, Py_ssize_t batch_size, bint beyond_l2, real* panel, Py_ssize_t panel_size,
) noexcept nogil:
    """One feature of every chosen example, from a contiguous row to its place in the panels.

    The columns come in no order that the machine could foresee.  A row `beyond_l2` is read once
    from end to end, which it can; where the wanted elements are sparse, those of the next row
    are fetched meanwhile.
    """
    cdef Py_ssize_t batch, i, stop, lane
    cdef bint sparse = count * LINE < columns
    if beyond_l2 and not sparse:
        for i from 0 <= i < columns by LINE:
            touch(row + i)
    for batch from 0 <= batch < count by batch_size:
        i = batch
        stop = min(batch + batch_size, count)
        while i + PANEL <= stop:
            store(panel, gather(row, order + i))
            store(panel + LANES, gather(row, order + i + LANES))
            if beyond_l2 and sparse:
                for lane in range(PANEL):
                    prefetch(next_row + order[i + lane])
            panel += panel_size
            i += PANEL
        if i < stop:
            for lane in range(stop - i):
                panel[lane] = row[order[i + lane]]
            for lane in range(stop - i, PANEL):
                panel[lane] = 0
            panel += panel_size


cdef void pack_panel(
    const Matrix* X, const uint32_t* order, Py_ssize_t first, Py_ssize_t count, real* panel
) noexcept nogil:
    """One panel of columns that are contiguous (transposed in blocks) or have any strides."""
    cdef const real* columns[PANEL]
    cdef Py_ssize_t k, lane
    cdef Py_ssize_t whole = 0
    for lane in range(count):
        columns[lane] = X.data + X.column_stride * (
            <Py_ssize_t>order[first + lane] if order != NULL else first + lane
        )
    if X.row_stride == 1 and count == PANEL:
        whole = X.rows - X.rows % LANES
        for k from 0 <= k < whole by LANES:
            transpose_block(columns, k, panel + k * PANEL, PANEL)
            transpose_block(columns + LANES, k, panel + k * PANEL + LANES, PANEL)
    for k in range(whole, X.rows):
        for lane in range(count):
            panel[k * PANEL + lane] = columns[lane][k * X.row_stride]
        for lane in range(count, PANEL):
            panel[k * PANEL + lane] = 0


cdef void copy_examples(const Matrix* X, real* examples) noexcept nogil:
    """examples[j] = X[:, j], one after the other, of an X whose rows are contiguous.

    A few rows are read at a time: where they are 4 KB apart more would share lines of the cache.
    """
    cdef const real* rows[LANES]
    cdef Py_ssize_t n = X.rows
    cdef Py_ssize_t m = X.columns
    cdef Py_ssize_t k, j, i, e
    for k from 0 <= k < n by LANES:
        for j from 0 <= j < m by LANES:
            if k + LANES <= n and j + LANES <= m:
                for i in range(LANES):
                    rows[i] = X.data + (k + i) * X.row_stride
                transpose_block(rows, j, examples + j * n + k, n)
            else:
                for e in range(j, min(j + LANES, m)):
                    for i in range(k, min(k + LANES, n)):
                        examples[e * n + i] = X.data[i * X.row_stride + e]


# Examples that are contiguous are copied to panels of features first, PANEL features of every
# example side by side: what dW sums over, and what is transposed to panels of examples.


cdef void copy_features(
    const Matrix* X, const uint32_t* order, Py_ssize_t count, Py_ssize_t first, Py_ssize_t stop,
    real* features,
) noexcept nogil:
    """features[f][example][j] = X[f PANEL + j, order[example]], panels first <= f < stop; each
    panel is filled up with zeros to whole panels of examples."""
    cdef Py_ssize_t padded = panels_of(count) * PANEL
    cdef Py_ssize_t e, f, rest
    cdef const real* example
    cdef const real* next_example
    cdef real* to
    for e in range(count):
        example = X.data + X.column_stride * <Py_ssize_t>order[e]
        next_example = X.data + X.column_stride * <Py_ssize_t>order[min(e + 1, count - 1)]
        for f in range(first, stop):
            to = features + (f * padded + e) * PANEL
            rest = X.rows - f * PANEL
            if rest >= PANEL:
                prefetch(next_example + f * PANEL)
                prefetch(next_example + f * PANEL + LANES)
                store(to, load(example + f * PANEL))
                store(to + LANES, load(example + f * PANEL + LANES))
            else:
                memcpy(to, example + f * PANEL, rest * sizeof(real))
    for f in range(first, stop):
        memset(features + (f * padded + count) * PANEL, 0, (padded - count) * PANEL * sizeof(real))


cdef void pack_features(
    const real* features, Py_ssize_t n, Py_ssize_t count, Py_ssize_t first, Py_ssize_t stop,
    real* panels,
) noexcept nogil:
    """Panels of n features, from features of panels first ... stop that `copy_features` made."""
    cdef const real* rows[PANEL]
    cdef Py_ssize_t padded = panels_of(count) * PANEL
    cdef Py_ssize_t p, f, j, k
    cdef real* panel
    for p in range(padded // PANEL):
        for f in range(first, stop):
            panel = panels + p * n * PANEL + f * PANEL * PANEL
            for j in range(PANEL):
                rows[j] = features + (f * padded + p * PANEL + j) * PANEL
            for k from 0 <= k < min(<Py_ssize_t>PANEL, n - f * PANEL) by LANES:
                if f * PANEL + k + LANES <= n:
                    transpose_block(rows, k, panel + k * PANEL, PANEL)
                    transpose_block(rows + LANES, k, panel + k * PANEL + LANES, PANEL)
                else:
                    for k in range(k, n - f * PANEL):
                        for j in range(PANEL):
                            panel[k * PANEL + j] = rows[j][k]


cdef void unpack(
    const real* panels, Py_ssize_t first, Py_ssize_t count, const Matrix* X
) noexcept nogil:
    """Panels to columns first ... first + count of X."""
    cdef Py_ssize_t group, p, k, lane, width, stop
    cdef Py_ssize_t size = X.rows * PANEL
    cdef const real* panel
    cdef real* row
    for group from 0 <= group < panels_of(count) by PACK_GROUP:
        stop = min(group + PACK_GROUP, panels_of(count))
        for k in range(X.rows):
            for p in range(group, stop):
                panel = panels + p * size + k * PANEL
                row = X.data + k * X.row_stride + (first + p * PANEL) * X.column_stride
                width = min(count - p * PANEL, <Py_ssize_t>PANEL)
                if X.column_stride == 1 and width == PANEL:
                    store(row, load(panel))
                    store(row + LANES, load(panel + LANES))
                else:
                    for lane in range(width):
                        row[lane * X.column_stride] = panel[lane]


cdef void clear_padding(
    real* panels, Py_ssize_t n, Py_ssize_t first, Py_ssize_t stop, Py_ssize_t count
) noexcept nogil:
    """Zero the columns behind the `count` true ones, so that they add nothing to a sum, if
    they are in panels first ... stop."""
    cdef Py_ssize_t k
    cdef Py_ssize_t last = count // PANEL
    cdef int left = <int>min(count % PANEL, <Py_ssize_t>LANES)
    cdef int right = <int>(count % PANEL) - left
    cdef real* row
    if count % PANEL == 0 or not first <= last < stop:
        return
    for k in range(last * n, (last + 1) * n):
        row = panels + k * PANEL
        store(row, keep_first(load(row), left))
        store(row + LANES, keep_first(load(row + LANES), right))
