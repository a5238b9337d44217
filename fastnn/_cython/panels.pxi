# Arrays of any strides, the panels that they are packed into, and working memory.


cdef struct Matrix:
    # A 2-D array of any strides, in elements.
    real* data
    Py_ssize_t rows
    Py_ssize_t columns
    Py_ssize_t row_stride
    Py_ssize_t column_stride


cdef inline Matrix matrix(array) noexcept:
    cdef Matrix view
    cdef cnp.ndarray a = <cnp.ndarray>array
    view.data = <real*>cnp.PyArray_DATA(a)
    view.rows = cnp.PyArray_DIM(a, 0)
    view.columns = cnp.PyArray_DIM(a, 1)
    view.row_stride = cnp.PyArray_STRIDE(a, 0) // <Py_ssize_t>sizeof(real)
    view.column_stride = cnp.PyArray_STRIDE(a, 1) // <Py_ssize_t>sizeof(real)
    return view


cdef inline real* flat(array) noexcept:
    return <real*>cnp.PyArray_DATA(<cnp.ndarray>array)


cdef inline void turn(Matrix* x) noexcept nogil:
    """The transpose."""
    x.rows, x.columns = x.columns, x.rows
    x.row_stride, x.column_stride = x.column_stride, x.row_stride


cdef bint as_lines(Matrix* x, Matrix* y) noexcept nogil:
    """Whether x and y, of one shape, are contiguous along the same axis: then along their rows,
    which are as long as they can be."""
    if x.column_stride != 1 or y.column_stride != 1:
        turn(x)
        turn(y)
    if x.column_stride != 1 or y.column_stride != 1:
        return False
    if x.row_stride == x.columns and y.row_stride == y.columns:
        x.columns, x.rows = x.rows * x.columns, 1
        y.columns, y.rows = x.columns, 1
    return True


cdef inline void read_column(const Matrix* X, Py_ssize_t j, real* x) noexcept nogil:
    """x = X[:, j]."""
    cdef Py_ssize_t k
    for k in range(X.rows):
        x[k] = X.data[k * X.row_stride + j * X.column_stride]


cdef inline void write_column(const real* x, Py_ssize_t j, const Matrix* X) noexcept nogil:
    """X[:, j] = x."""
    cdef Py_ssize_t k
    for k in range(X.rows):
        X.data[k * X.row_stride + j * X.column_stride] = x[k]


cdef inline real sum_line(const real* x, Py_ssize_t count, real factor) noexcept nogil:
    """Sum of factor * x over `count` contiguous numbers, in four registers at a time.

    The factor is 1, or 0: the sum is then NaN where x holds NaN or an infinity, and else 0.
    """
    cdef vector total[4]
    cdef Py_ssize_t i = 0
    cdef Py_ssize_t j
    cdef real rest = 0
    for j in range(4):
        total[j] = splat(0)
    while i + 4 * LANES <= count:
        for j in range(4):
            total[j] = total[j] + splat(factor) * load(x + i + j * LANES)
        i += 4 * LANES
    for i in range(i, count):
        rest += factor * x[i]
    return sum_lanes((total[0] + total[1]) + (total[2] + total[3])) + rest


cdef bint finite_matrix(const Matrix* X) noexcept nogil:
    """Whether X holds no NaN and no infinity."""
    cdef Matrix x = X[0]
    cdef Matrix same = x
    cdef Py_ssize_t i, j
    cdef real total = 0
    if as_lines(&x, &same):
        for i in range(x.rows):
            total += sum_line(x.data + i * x.row_stride, x.columns, 0)
    else:
        for i in range(x.rows):
            for j in range(x.columns):
                total += x.data[i * x.row_stride + j * x.column_stride] * 0
    return total == 0


cdef inline bint finite_columns(
    const Matrix* X, Py_ssize_t first, Py_ssize_t count
) noexcept nogil:
    """`finite_matrix` of columns first ... first + count."""
    cdef Matrix part = X[0]
    part.data = X.data + first * X.column_stride
    part.columns = count
    return finite_matrix(&part)


cdef inline Py_ssize_t panels_of(Py_ssize_t columns) noexcept nogil:
    return (columns + PANEL - 1) // PANEL


cdef void* allocate(Py_ssize_t size) except NULL:
    """Memory for `size` reals, aligned to a cache line; `release` gives it back."""
    cdef char* base = <char*>PyMem_RawMalloc(size * sizeof(real) + 128)
    if base == NULL:
        raise MemoryError(f"Unable to allocate {size * sizeof(real)} bytes of working memory")
    cdef char* aligned = <char*>((<uintptr_t>base + 127) & ~<uintptr_t>63)
    (<void**>aligned - 1)[0] = base
    return aligned


cdef inline void release(void* aligned) noexcept:
    if aligned != NULL:
        PyMem_RawFree((<void**>aligned - 1)[0])


# --- packing ------------------------------------------------------------------------------


cdef void pack(
    const Matrix* X, const uint32_t* order, Py_ssize_t first, Py_ssize_t count,
    Py_ssize_t batch_size, real* panels, Py_ssize_t n,
) noexcept nogil:
    """Columns first ... first + count of X (through `order`, if given) to panels of n features.

    Every batch of `batch_size` columns starts on a panel of its own.
    """
    cdef Py_ssize_t batch, p, width, group, k
    cdef const real* row
    if X.column_stride == 1 and order != NULL:
        for k in range(X.rows):
            row = X.data + k * X.row_stride
            gather_row(
                row, row + X.row_stride if k + 1 < X.rows else row, X.columns, order + first,
                count, batch_size, X.rows * X.columns > FAR, panels + k * PANEL, n * PANEL,
            )
        return
    for batch from 0 <= batch < count by batch_size:
        width = min(batch_size, count - batch)
        p = 0
        if X.column_stride == 1:
            while (p + 1) * PANEL <= width:
                group = min(<Py_ssize_t>GROUP, width // PANEL - p)
                pack_group(X, first + batch + p * PANEL, group, panels + p * n * PANEL, n * PANEL)
                p += group
        for p in range(p, panels_of(width)):
            pack_panel(
                X, order, first + batch + p * PANEL, min(width - p * PANEL, <Py_ssize_t>PANEL),
                panels + p * n * PANEL,
            )
        panels += panels_of(width) * n * PANEL


cdef enum:
    # Panels that are packed side by side: rows are read 512 bytes at a time, from memory
    # AHEAD rows early, and no more places are written at once than the cache can keep.
    GROUP = 8
    AHEAD = 4
    # Numbers of an array that does not stay in the L2 cache.
    FAR = 200000


cdef void pack_group(
    const Matrix* X, Py_ssize_t first, Py_ssize_t group, real* panels, Py_ssize_t panel_size
) noexcept nogil:
    """Up to GROUP whole panels of columns, where each row of X is contiguous."""
    cdef Py_ssize_t k, p
    cdef const real* row = X.data + first
    for k in range(X.rows):
        for p in range(group):
            if k + AHEAD < X.rows:
                prefetch(row + AHEAD * X.row_stride + p * PANEL)
            store(panels + p * panel_size, load(row + p * PANEL))
            store(panels + p * panel_size + LANES, load(row + p * PANEL + LANES))
        row += X.row_stride
        panels += PANEL


cdef inline void gather_row(
    const real* row, const real* next_row, Py_ssize_t columns, const uint32_t* order,
    Py_ssize_t count, Py_ssize_t batch_size, bint far, real* panel, Py_ssize_t panel_size,
) noexcept nogil:
    """One feature of every chosen example, from a contiguous row to its place in the panels.

    The columns come in no order that the machine could foresee.  A row that is `far` is read
    once from end to end, which it can; where few of its numbers are wanted, those of the
    next row are fetched meanwhile.
    """
    cdef Py_ssize_t batch, i, stop, lane
    cdef bint few = count * LINE < columns
    if far and not few:
        for i from 0 <= i < columns by LINE:
            touch(row + i)
    for batch from 0 <= batch < count by batch_size:
        i = batch
        stop = min(batch + batch_size, count)
        while i + PANEL <= stop:
            store(panel, gather(row, order + i))
            store(panel + LANES, gather(row, order + i + LANES))
            if far and few:
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


cdef void unpack(
    const real* panels, Py_ssize_t first, Py_ssize_t count, const Matrix* X
) noexcept nogil:
    """Panels to columns first ... first + count of X."""
    cdef Py_ssize_t group, p, k, lane, width, stop
    cdef Py_ssize_t size = X.rows * PANEL
    cdef const real* panel
    cdef real* row
    for group from 0 <= group < panels_of(count) by GROUP:
        stop = min(group + GROUP, panels_of(count))
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
