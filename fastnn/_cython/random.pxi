# Random numbers: SplitMix64 (see `_numpy/random.py`), and the masks of dropout.


cdef void shuffled(uint64_t stream, Py_ssize_t m, uint32_t* order) noexcept nogil:
    """0 ... m - 1 in the order of a stream: Fisher and Yates' shuffle."""
    cdef Py_ssize_t i, j
    cdef uint32_t swapped
    for i in range(m):
        order[i] = <uint32_t>i
    for i in range(m - 1, 0, -1):
        j = <Py_ssize_t>(
            (mix64(stream + <uint64_t>(i + 1) * GOLDEN) >> 32) * <uint64_t>(i + 1) >> 32
        )
        swapped = order[i]
        order[i] = order[j]
        order[j] = swapped


cdef void mask_panel(
    uint64_t stream, double keep, Py_ssize_t n, Py_ssize_t example, real* A, real* D
) noexcept nogil:
    """A *= M and D *= M, for a panel whose first example has an even place in the batch.

    M[i, j] = 1 / keep where the number of unit i and example j is below keep 2^32, else 0.
    """
    cdef uint32_t threshold = <uint32_t>(keep * 4294967296.0)
    cdef vector scale = splat(<real>(1 / keep))
    cdef vector left, right
    cdef Py_ssize_t i, k
    for i in range(n):
        mask_lanes(
            stream, (<uint64_t>i << 32) + (<uint64_t>example >> 1), threshold, scale, &left, &right
        )
        k = i * PANEL
        store(A + k, load(A + k) * left)
        store(A + k + LANES, load(A + k + LANES) * right)
        store(D + k, load(D + k) * left)
        store(D + k + LANES, load(D + k + LANES) * right)
