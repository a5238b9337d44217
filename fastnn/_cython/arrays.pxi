# Arrays of any strides, sums and tests along their lines, and working memory.


cdef inline const real* moved(const real* p, Py_ssize_t n) noexcept nogil:
    """p + n, or NULL where p is."""
    return p + n if p != NULL else NULL


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


cdef inline void transpose(Matrix* x) noexcept nogil:
    """The transpose."""
    x.rows, x.columns = x.columns, x.rows
    x.row_stride, x.column_stride = x.column_stride, x.row_stride


cdef bint as_lines(Matrix* x, Matrix* y, Matrix* z) noexcept nogil:
    """Whether x, y and z (or NULL), of one shape, are contiguous along the same axis: then along
    their rows, which are as long as they can be."""
    if x.column_stride != 1 or y.column_stride != 1 or (z != NULL and z.column_stride != 1):
        transpose(x)
        transpose(y)
        if z != NULL:
            transpose(z)
    if x.column_stride != 1 or y.column_stride != 1 or (z != NULL and z.column_stride != 1):
        return False
    if (
        x.row_stride == x.columns and y.row_stride == y.columns
        and (z == NULL or z.row_stride == z.columns)
    ):
        x.columns, x.rows = x.rows * x.columns, 1
        y.columns, y.rows = x.columns, 1
        if z != NULL:
            z.columns, z.rows = x.columns, 1
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


cdef inline real scaled_sum "fastnn_scaled_sum"(
    const real* x, Py_ssize_t count, real scale
) noexcept nogil:
    """Sum of scale * x over `count` contiguous elements, in four registers at a time."""
    cdef vector total[4]
    cdef Py_ssize_t i = 0
    cdef Py_ssize_t j
    cdef real rest = 0
    for j in range(4):
        total[j] = splat(0)
    while i + 4 * LANES <= count:
        for j in range(4):
            total[j] = total[j] + splat(scale) * load(x + i + j * LANES)
        i += 4 * LANES
    for i in range(i, count):
        rest += scale * x[i]
    return sum_lanes((total[0] + total[1]) + (total[2] + total[3])) + rest


cdef inline real sum_line(const real* x, Py_ssize_t count) noexcept nogil:
    return scaled_sum(x, count, 1)


cdef bint finite_line(const real* x, Py_ssize_t count) noexcept nogil:
    """Whether `count` contiguous elements hold no NaN and no infinity, which times zero are NaN."""
    return scaled_sum(x, count, 0) == 0


cdef bint finite_matrix(const Matrix* X) noexcept nogil:
    """Whether X holds no NaN and no infinity."""
    cdef Matrix x = X[0]
    cdef Matrix same = x
    cdef Py_ssize_t i, j
    cdef real total = 0
    if as_lines(&x, &same, NULL):
        for i in range(x.rows):
            if not finite_line(x.data + i * x.row_stride, x.columns):
                return False
        return True
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


cdef inline void share(
    Py_ssize_t n, int thread, int threads, Py_ssize_t* first, Py_ssize_t* stop
) noexcept nogil:
    """The part of 0 ... n that falls to a thread."""
    first[0] = n * thread // threads
    stop[0] = n * (thread + 1) // threads
