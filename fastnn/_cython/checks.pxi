# Codes for Python, and the few checks that keep a call from computing what was not asked for.


cdef dict codes_of(const named_code* row):
    codes = {}
    while row.name != NULL:
        codes[row.name.decode()] = row.code
        row += 1
    return dict(sorted(codes.items(), key=lambda item: item[1]))


ACTIVATION_CODES = codes_of(activation_rows)
LOSS_CODES = codes_of(loss_rows)
UPDATE_CODES = codes_of(update_rows)


cdef int NON_NEGATIVE = Targets.NON_NEGATIVE
cdef int PROBABILITIES = Targets.PROBABILITIES
cdef int DISTRIBUTIONS = Targets.DISTRIBUTIONS
cdef double TOLERANCE = SUM_TOLERANCE


cdef inline int checked_activation(int code) except -1:
    if not is_activation(code):
        raise ValueError(f"no activation has the code {code}; there are {ACTIVATION_CODES}")
    return code


cdef inline int check_elementwise(int code) except -1:
    if checked_activation(code) == SOFTMAX:
        raise ValueError("the derivative of softmax is a matrix for each example")
    return 0


cdef inline int check_from_output(int code) except -1:
    if is_from_z(code):
        raise ValueError(f"the derivative of activation {code} is not known from its output")
    return 0


cdef Loss unpack_loss(spec) except *:
    """A LossSpec.  (Specifications are tuples with names; by position they are read in no time.)"""
    cdef Loss loss
    loss.code, loss.alpha, loss.paired = (<tuple>spec)[0], (<tuple>spec)[1], (<tuple>spec)[2]
    if not is_loss(loss.code):
        raise ValueError(f"no loss has the code {loss.code}; there are {LOSS_CODES}")
    return loss


cdef int unpack_update(Update* update, spec) except -1:
    """Fill in an UpdateSpec."""
    cdef tuple constants = <tuple>((<tuple>spec)[1])
    cdef Py_ssize_t k
    memset(update, 0, sizeof(Update))
    update.code, update.l2 = (<tuple>spec)[0], (<tuple>spec)[2]
    update.decay, update.clip_norm = (<tuple>spec)[3], (<tuple>spec)[4]
    update.per_example = (<tuple>spec)[5]
    if not is_update(update.code):
        raise ValueError(f"no update has the code {update.code}; there are {UPDATE_CODES}")
    if len(constants) > MAX_SCALARS:
        raise ValueError(f"at most {MAX_SCALARS} constants, got {constants}")
    for k in range(len(constants)):
        update.constants[k] = constants[k]
    return 0


cdef int check_vectors(int update, Py_ssize_t n_scalars, Py_ssize_t slots) except -1:
    if not 1 <= n_scalars <= MAX_SCALARS:
        raise ValueError(f"1 to {MAX_SCALARS} scalars in a step, got {n_scalars}")
    if slots != slots_of(update):
        raise ValueError(f"update {update} keeps {slots_of(update)} vectors, got {slots}")
    return 0


cdef int raise_pending() except -1:
    """Raise the exception that `poll` has left set."""
    return -1
