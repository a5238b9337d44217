/* The rows: every activation, loss and update that these kernels know, named once, with its code
 * and with the dispatch to its formula.
 *
 * A new row is a line here and a formula in activations.pxi, losses.pxi or updates.pxi, whose
 * name in C is that of the row behind "fastnn_"; everything else on this page is made of the
 * lists.  (Cython has no loop over names at compile time; the preprocessor has.) */
#ifndef FASTNN_ROWS_H
#define FASTNN_ROWS_H

#include <stdio.h>
#include <stdlib.h>

/* --- the lists ---------------------------------------------------------------------------- */

/* Activations whose derivative comes from the output: formulas fastnn_NAME(z, alpha) and
 * fastnn_NAME_derivative(a, alpha).  The first ones are so cheap that they are applied to the
 * sums of a tile in registers, the others once it is stored. */
#define FASTNN_CHEAP_ACTIVATIONS(ROW) \
    ROW(linear, 0)                    \
    ROW(relu, 3)                      \
    ROW(leaky_relu, 4)
#define FASTNN_COSTLY_ACTIVATIONS(ROW) \
    ROW(sigmoid, 1)                    \
    ROW(tanh, 2)
#define FASTNN_OUTPUT_ACTIVATIONS(ROW) FASTNN_CHEAP_ACTIVATIONS(ROW) FASTNN_COSTLY_ACTIVATIONS(ROW)

/* Not element by element: softmax has functions of its own. */
#define FASTNN_MATRIX_ACTIVATIONS(ROW) ROW(softmax, 5)

#define FASTNN_ACTIVATIONS(ROW) FASTNN_OUTPUT_ACTIVATIONS(ROW) FASTNN_MATRIX_ACTIVATIONS(ROW)

/* Losses: fastnn_NAME(a, y), the loss of one output. */
#define FASTNN_LOSSES(ROW)       \
    ROW(mse, 0)                  \
    ROW(binary_cross_entropy, 1) \
    ROW(cross_entropy, 2)

/* --- codes, and their names for Python ------------------------------------------------------ */

#define ROW(name, code) fastnn_##name##_code = code,
enum { FASTNN_ACTIVATIONS(ROW) };
enum { FASTNN_LOSSES(ROW) };
#undef ROW

typedef struct {
    const char *name; /* NULL ends a list */
    int code;
} named_code;

#define ROW(name, code) {#name, code},
static const named_code activation_rows[] = {FASTNN_ACTIVATIONS(ROW){NULL, 0}};
static const named_code loss_rows[] = {FASTNN_LOSSES(ROW){NULL, 0}};
#undef ROW

/* --- dispatch ------------------------------------------------------------------------------- */

/* Every entry refuses codes that are not in the lists, so that this is never reached; no row's
 * formula stands in for another's. */
__attribute__((noreturn, cold, unused)) static void no_such_row(const char *what, int code)
{
#if defined(FASTNN_DEBUG)
    fprintf(stderr, "fastnn: no branch of %s for code %d\n", what, code);
    abort();
#else
    (void)what, (void)code;
    __builtin_trap();
#endif
}

/* Functions of the .pxi files, declared here so that the compiler inlines them in every case:
 * specialised, that is, for what is constant there. */
#define INLINED(declaration) static declaration __attribute__((always_inline))

#define ROW(name, code)                      \
    INLINED(vector fastnn_##name(vector, real)); \
    INLINED(vector fastnn_##name##_derivative(vector, real));
FASTNN_OUTPUT_ACTIVATIONS(ROW)
#undef ROW
#define ROW(name, code) INLINED(vector fastnn_##name(vector, vector));
FASTNN_LOSSES(ROW)
#undef ROW

/* g(z), elementwise; NaN stays NaN. */
INLINED(inline vector activated(vector z, int activation, real alpha));
static inline vector activated(vector z, int activation, real alpha)
{
#define ROW(name, code) \
    if (activation == code) return fastnn_##name(z, alpha);
    FASTNN_OUTPUT_ACTIVATIONS(ROW)
#undef ROW
    no_such_row("activated", activation);
}

/* g'(z) from the output a = g(z). */
INLINED(inline vector derivative_of(vector a, int activation, real alpha));
static inline vector derivative_of(vector a, int activation, real alpha)
{
#define ROW(name, code) \
    if (activation == code) return fastnn_##name##_derivative(a, alpha);
    FASTNN_OUTPUT_ACTIVATIONS(ROW)
#undef ROW
    no_such_row("derivative_of", activation);
}

/* The loss of one output. */
INLINED(inline vector loss_of(vector a, vector y, int loss));
static inline vector loss_of(vector a, vector y, int loss)
{
#define ROW(name, code) \
    if (loss == code) return fastnn_##name(a, y);
    FASTNN_LOSSES(ROW)
#undef ROW
    no_such_row("loss_of", loss);
}

static inline int is_cheap(int activation)
{
#define ROW(name, code) \
    if (activation == code) return 1;
    FASTNN_CHEAP_ACTIVATIONS(ROW)
#undef ROW
    return 0;
}

/* --- loops, specialised for each row ----------------------------------------------------------- */

INLINED(void fastnn_activate_elements(const real *, Py_ssize_t, int, real, real *));
INLINED(void fastnn_derivative_elements(const real *, const real *, Py_ssize_t, int, real, real *));

/* a = g(z) for `count` elements, a multiple of LANES. */
static inline void activate_elements(const real *z, Py_ssize_t count, int activation, real alpha, real *a)
{
#define ROW(name, code)                                       \
    if (activation == code) {                                 \
        fastnn_activate_elements(z, count, code, alpha, a);   \
        return;                                               \
    }
    FASTNN_OUTPUT_ACTIVATIONS(ROW)
#undef ROW
    no_such_row("activate_elements", activation);
}

/* dz = da g'(z), or g'(z) where da is NULL, from the output a: `count`, a multiple of LANES. */
static inline void derivative_elements(
    const real *da, const real *a, Py_ssize_t count, int activation, real alpha, real *dz)
{
#define ROW(name, code)                                             \
    if (activation == code) {                                       \
        fastnn_derivative_elements(da, a, count, code, alpha, dz);  \
        return;                                                     \
    }
    FASTNN_OUTPUT_ACTIVATIONS(ROW)
#undef ROW
    no_such_row("derivative_elements", activation);
}

/* --- the end of a tile, specialised for each kind and activation ---------------------------------- */

/* What becomes of a tile's sums. */
enum epilogue {
    ACTIVATE,         /* c = g(sum), g cheap: with "linear", the sum itself */
    ADD,              /* c += scale * sum */
    TIMES_DERIVATIVE, /* c = sum * g', from the output of g in `other` */
};

INLINED(void fastnn_finish_rows(int, int, int, int, vector *, vector *, real *, Py_ssize_t, const real *,
                                real, real));

INLINED(inline void finish_tile(int, int, int, int, vector *, vector *, real *, Py_ssize_t, const real *,
                                real, real));
static inline void finish_tile(int rows, int registers, int epilogue, int activation, vector *left,
                               vector *right, real *c, Py_ssize_t c_stride, const real *other, real alpha,
                               real scale)
{
    if (epilogue == ADD) {
        fastnn_finish_rows(rows, registers, ADD, fastnn_linear_code, left, right, c, c_stride, NULL, 0, scale);
        return;
    }
    if (epilogue == ACTIVATE) {
#define ROW(name, code)                                                                            \
    if (activation == code) {                                                                      \
        fastnn_finish_rows(rows, registers, ACTIVATE, code, left, right, c, c_stride, NULL, alpha, 0); \
        return;                                                                                    \
    }
        FASTNN_CHEAP_ACTIVATIONS(ROW)
#undef ROW
    }
    if (epilogue == TIMES_DERIVATIVE) {
#define ROW(name, code)                                                                            \
    if (activation == code) {                                                                      \
        fastnn_finish_rows(rows, registers, TIMES_DERIVATIVE, code, left, right, c, PANEL, other, alpha, 0); \
        return;                                                                                    \
    }
        FASTNN_OUTPUT_ACTIVATIONS(ROW)
#undef ROW
    }
    no_such_row("finish_tile", activation);
}

/* --- other functions that are specialised --------------------------------------------------------- */

INLINED(void fastnn_microkernel(int, int, int, const void *, Py_ssize_t));
INLINED(void fastnn_dot_rows(int, int, int, const real *, Py_ssize_t, const real *, Py_ssize_t,
                             Py_ssize_t, real, real *, Py_ssize_t));
INLINED(void fastnn_add_features(int, int, const real *, Py_ssize_t, const real *, Py_ssize_t, Py_ssize_t,
                                 real *, Py_ssize_t, Py_ssize_t));
INLINED(void fastnn_unpacked_rows(int, const real *, const real *, Py_ssize_t, const real *, Py_ssize_t,
                                  Py_ssize_t, real *, Py_ssize_t, Py_ssize_t));
INLINED(void fastnn_matvec_rows(int, const real *, Py_ssize_t, const real *, Py_ssize_t, const real *, real *));

#endif
