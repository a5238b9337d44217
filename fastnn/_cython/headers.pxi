# What the headers of this folder offer, in Cython's words.

cdef extern from "Python.h" nogil:
    Py_ssize_t PY_SSIZE_T_MIN

cdef extern from "_cython/vector.h" nogil:
    ctypedef double real
    ctypedef real vector
    enum:
        SINGLE
        LANES
        LINE
        PANEL
        TILE_ROWS
    real MAGIC
    vector load(const real* p) noexcept
    void store(real* p, vector v) noexcept
    vector splat(real x) noexcept
    vector where_less(vector x, vector y, vector a, vector b) noexcept
    vector where_positive(vector x, vector a, vector b) noexcept
    vector where_not_positive(vector x, vector a, vector b) noexcept
    vector square_root(vector x) noexcept
    vector maximum(vector x, vector y) noexcept
    vector minimum(vector x, vector y) noexcept
    vector sign_bit(vector x) noexcept
    vector magnitude(vector x) noexcept
    vector with_sign(vector x, vector sign) noexcept
    vector remainder_of(vector n, vector a, vector d) noexcept
    vector polynomial(vector x, const real* c, int count) noexcept
    vector power_of_two(vector shifted, int offset) noexcept
    vector split_exponent(vector x, vector* k) noexcept
    real sum_lanes(vector v) noexcept
    void sum_lanes_of_4(const vector* v, real* sums) noexcept
    vector keep_last(vector v, int count) noexcept
    vector keep_first(vector v, int count) noexcept
    vector gather(const real* row, const uint32_t* column) noexcept
    void prefetch(const real* p) noexcept
    void touch(const real* p) noexcept
    double seconds() noexcept
    void transpose_block(const real** rows, Py_ssize_t start, real* to, Py_ssize_t stride) noexcept

cdef extern from "_cython/random.h" nogil:
    uint64_t GOLDEN
    uint64_t mix64(uint64_t z) noexcept
    void mask_lanes(
        uint64_t stream, uint64_t place, uint32_t threshold, vector scale, vector* left,
        vector* right,
    ) noexcept

cdef extern from "_cython/tuning.h" nogil:
    enum:
        BLOCK_COLUMNS
        FORWARD_BLOCK_BYTES
        TRAIN_BLOCK_BYTES
        MIN_PACKED_BATCHES_BYTES
        DEPTH_BLOCK
        PACKED_A_BYTES
        MIN_PANELS_TO_PACK_A
        MIN_BYTES_TO_PACK_A
        MIN_DEPTH_TO_PREFETCH_C
        TRANSPOSED_BYTES
        SCRATCH_BYTES
        MIN_DW_PANELS_PER_THREAD
        PACK_GROUP
        PACK_PREFETCH_ROWS
        L2_ELEMENTS
        MATVEC_EXAMPLES
        JACOBIAN_EXAMPLES
        UNPACKED_ROWS
        UNPACKED_ELEMENTS
        CHUNK_ELEMENTS
        MIN_MACS_FOR_THREADS
        MIN_MACS_PER_THREAD
        MIN_MACS_PER_FAR_THREAD
        MIN_MACS_PER_FAR_PART
        POLL_MACS
    double DW_HALF_PANEL_CYCLES
    double DW_TRANSPOSE_CYCLES
    double DW_SCATTER_CYCLES
    double DW_DOT_CYCLES
    double DW_FAR_DOT_CYCLES
    double DW_DOT_END_CYCLES
    double DW_NEAR_BYTES

cdef extern from "_cython/rows.h" nogil:
    enum:
        LINEAR "fastnn_linear_code"
        SOFTMAX "fastnn_softmax_code"
        GRADIENT_DESCENT "fastnn_gradient_descent_code"
        MAX_SLOTS
        MAX_SCALARS
        ACTIVATE
        ADD
        TIMES_DERIVATIVE
        TIMES
    ctypedef struct named_code:
        const char* name
        int code
    const named_code* activation_rows
    const named_code* loss_rows
    const named_code* update_rows
    bint is_cheap(int activation) noexcept
    bint is_from_output(int activation) noexcept
    bint is_from_z(int activation) noexcept
    bint is_activation(int activation) noexcept
    bint is_loss(int loss) noexcept
    bint is_update(int update) noexcept
    int slots_of(int update) noexcept
    vector activated(vector z, int activation, real alpha, vector* derivative) noexcept
    vector derivative_of(vector a, int activation, real alpha) noexcept
    vector loss_of(vector a, vector y, int loss, real alpha, vector* derivative) noexcept
    vector updated(
        vector w, vector g, vector* state, int update, const double* scalars,
        const double* constants,
    ) noexcept
    void activate_elements(
        const real* z, Py_ssize_t count, int activation, real alpha, real* a, real* d
    ) noexcept
    void derivative_elements(
        const real* da, const real* a, Py_ssize_t count, int activation, real alpha, real* dz
    ) noexcept
    void loss_derivative_elements(
        const real* a, const real* y, Py_ssize_t count, int loss, real alpha, real* da
    ) noexcept
    void update_elements(
        int update, real* w, const real* g, real scale, real* state, Py_ssize_t stride,
        Py_ssize_t count, const double* scalars, const double* constants,
    ) noexcept
    void finish_tile(
        int rows, int registers, int epilogue, int activation, vector* left, vector* right,
        real* c, Py_ssize_t c_stride, const real* other, real alpha, real scale,
    ) noexcept

cdef extern from "_cython/team.h" nogil:
    ctypedef struct team:
        int size
        int members
        int dissolved
        int far
    void raise_flag(int* flag) noexcept
    bint is_raised(const int* flag) noexcept
    void team_barrier(team* t, int thread) noexcept
    int team_review(team* t, int thread) noexcept
    int team_claim(team* t) noexcept
    int team_join(team* t) noexcept
    void team_open(team* t, int helpers, bint has_barriers, bint pays_far) noexcept
    void team_cancel(team* t) noexcept
    void team_leave(team* t) noexcept
    void team_close(team* t) noexcept

cdef extern from "Python.h":
    int PyErr_CheckSignals() noexcept
