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

/* Activations whose derivative is cheap from the output: formulas fastnn_NAME(z, alpha) and
 * fastnn_NAME_derivative(a, alpha).  The first ones are so cheap that they are applied to the
 * sums of a tile in registers, the others once it is stored. */
#define FASTNN_CHEAP_ACTIVATIONS(ROW) \
    ROW(linear, 0)                    \
    ROW(relu, 3)                      \
    ROW(leaky_relu, 4)
#define FASTNN_COSTLY_ACTIVATIONS(ROW) \
    ROW(sigmoid, 1)                    \
    ROW(tanh, 2)                       \
    ROW(exponential, 11)
#define FASTNN_OUTPUT_ACTIVATIONS(ROW) FASTNN_CHEAP_ACTIVATIONS(ROW) FASTNN_COSTLY_ACTIVATIONS(ROW)

/* The others: fastnn_NAME(z, alpha, &derivative) gives both; layers in training keep the second. */
#define FASTNN_Z_ACTIVATIONS(ROW) \
    ROW(gelu, 6)                  \
    ROW(elu, 7)                   \
    ROW(softplus, 8)              \
    ROW(silu, 9)                  \
    ROW(gelu_tanh, 10)

/* Not element by element: softmax has functions of its own. */
#define FASTNN_MATRIX_ACTIVATIONS(ROW) \
    ROW(softmax, 5)

#define FASTNN_ACTIVATIONS(ROW)    \
    FASTNN_OUTPUT_ACTIVATIONS(ROW) \
    FASTNN_Z_ACTIVATIONS(ROW)      \
    FASTNN_MATRIX_ACTIVATIONS(ROW)

/* Losses: fastnn_NAME(a, y, alpha, &derivative), of one output. */
#define FASTNN_LOSSES(ROW)       \
    ROW(mse, 0)                  \
    ROW(binary_cross_entropy, 1) \
    ROW(cross_entropy, 2)        \
    ROW(huber, 3)                \
    ROW(mae, 4)                  \
    ROW(poisson, 5)

/* Updates: fastnn_NAME(w, g, state, scalars, constants), the new w.  The number in the middle is
 * that of the vectors that it keeps as its state. */
#define FASTNN_UPDATES(ROW)       \
    ROW(gradient_descent, 0, 0)   \
    ROW(adam, 1, 2)               \
    ROW(momentum, 2, 1)           \
    ROW(rmsprop, 3, 1)

enum {
    MAX_SLOTS = 2,
    MAX_SCALARS = 4, /* of a step, and constants of a formula */
};

/* --- codes, and their names for Python ------------------------------------------------------ */

#define ROW(name, code) fastnn_##name##_code = code,
enum { FASTNN_ACTIVATIONS(ROW) };
enum { FASTNN_LOSSES(ROW) };
#undef ROW
#define ROW(name, code, slots) fastnn_##name##_code = code,
enum { FASTNN_UPDATES(ROW) };
#undef ROW

typedef struct {
    const char *name; /* NULL ends a list */
    int code;
} named_code;

#define ROW(name, code) {#name, code},
static const named_code activation_rows[] = {FASTNN_ACTIVATIONS(ROW){NULL, 0}};
static const named_code loss_rows[] = {FASTNN_LOSSES(ROW){NULL, 0}};
#undef ROW
#define ROW(name, code, slots) _Static_assert(slots <= MAX_SLOTS, "MAX_SLOTS is too small for " #name);
FASTNN_UPDATES(ROW)
#undef ROW
#define ROW(name, code, slots) {#name, code},
static const named_code update_rows[] = {FASTNN_UPDATES(ROW){NULL, 0}};
#undef ROW

/* --- what a code is ------------------------------------------------------------------------- */

#define ROW(name, code, ...) \
    if (code == asked) return 1;
static inline int is_cheap(int asked) { FASTNN_CHEAP_ACTIVATIONS(ROW) return 0; }
static inline int is_from_output(int asked) { FASTNN_OUTPUT_ACTIVATIONS(ROW) return 0; }
static inline int is_from_z(int asked) { FASTNN_Z_ACTIVATIONS(ROW) return 0; }
static inline int is_activation(int asked) { FASTNN_ACTIVATIONS(ROW) return 0; }
static inline int is_loss(int asked) { FASTNN_LOSSES(ROW) return 0; }
static inline int is_update(int asked) { FASTNN_UPDATES(ROW) return 0; }
#undef ROW

static inline int slots_of(int update)
{
#define ROW(name, code, slots) \
    if (update == code) return slots;
    FASTNN_UPDATES(ROW)
#undef ROW
    return 0;
}

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
#define ROW(name, code) INLINED(vector fastnn_##name(vector, real, vector *));
FASTNN_Z_ACTIVATIONS(ROW)
#undef ROW
#define ROW(name, code) INLINED(vector fastnn_##name(vector, vector, real, vector *));
FASTNN_LOSSES(ROW)
#undef ROW
#define ROW(name, code, slots) \
    INLINED(vector fastnn_##name(vector, vector, vector *, const double *, const double *));
FASTNN_UPDATES(ROW)
#undef ROW

/* g(z), elementwise, and g'(z); NaN stays NaN.  (What is not used is not computed.) */
INLINED(inline vector activated(vector z, int activation, real alpha, vector *derivative));
static inline vector activated(vector z, int activation, real alpha, vector *derivative)
{
#define ROW(name, code)                                   \
    if (activation == code) {                             \
        vector a = fastnn_##name(z, alpha);               \
        *derivative = fastnn_##name##_derivative(a, alpha); \
        return a;                                         \
    }
    FASTNN_OUTPUT_ACTIVATIONS(ROW)
#undef ROW
#define ROW(name, code) \
    if (activation == code) return fastnn_##name(z, alpha, derivative);
    FASTNN_Z_ACTIVATIONS(ROW)
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

/* The loss of one output, and its derivative with respect to a. */
INLINED(inline vector loss_of(vector a, vector y, int loss, real alpha, vector *derivative));
static inline vector loss_of(vector a, vector y, int loss, real alpha, vector *derivative)
{
#define ROW(name, code) \
    if (loss == code) return fastnn_##name(a, y, alpha, derivative);
    FASTNN_LOSSES(ROW)
#undef ROW
    no_such_row("loss_of", loss);
}

/* What a step makes of w, and of the state, whose vectors are read and written. */
INLINED(inline vector updated(vector w, vector g, vector *state, int update, const double *scalars,
                              const double *constants));
static inline vector updated(vector w, vector g, vector *state, int update, const double *scalars,
                             const double *constants)
{
#define ROW(name, code, slots) \
    if (update == code) return fastnn_##name(w, g, state, scalars, constants);
    FASTNN_UPDATES(ROW)
#undef ROW
    no_such_row("updated", update);
}

/* --- loops, specialised for each row ----------------------------------------------------------- */

INLINED(void fastnn_activate_elements(const real *, Py_ssize_t, int, real, real *, real *));
INLINED(void fastnn_derivative_elements(const real *, const real *, Py_ssize_t, int, real, real *));
INLINED(void fastnn_loss_elements(const real *, const real *, Py_ssize_t, int, real, real *));
INLINED(void fastnn_update_elements(int, int, real *, const real *, real, real *, Py_ssize_t, Py_ssize_t,
                                    const double *, const double *));

/* Loops of their own, so that the constants of each stay in registers. */
#define APART __attribute__((noinline)) static
#define ROW(name, code)                                                                             \
    APART void name##_values(const real *z, Py_ssize_t count, real alpha, real *a)                  \
    {                                                                                               \
        fastnn_activate_elements(z, count, code, alpha, a, NULL);                                   \
    }                                                                                               \
    APART void name##_values_and_derivatives(const real *z, Py_ssize_t count, real alpha, real *a, real *d) \
    {                                                                                               \
        fastnn_activate_elements(z, count, code, alpha, a, d);                                      \
    }
FASTNN_OUTPUT_ACTIVATIONS(ROW) FASTNN_Z_ACTIVATIONS(ROW)
#undef ROW

/* a = g(z), and d = g'(z) unless it is NULL, of `count` elements, a multiple of LANES. */
static inline void activate_elements(const real *z, Py_ssize_t count, int activation, real alpha, real *a,
                                     real *d)
{
#define ROW(name, code)                                             \
    if (activation == code) {                                       \
        if (d == NULL)                                              \
            name##_values(z, count, alpha, a);                      \
        else                                                        \
            name##_values_and_derivatives(z, count, alpha, a, d);   \
        return;                                                     \
    }
    FASTNN_OUTPUT_ACTIVATIONS(ROW) FASTNN_Z_ACTIVATIONS(ROW)
#undef ROW
    no_such_row("activate_elements", activation);
}

/* dz = da g'(z), or g'(z) where da is NULL, from the output a: `count`, a multiple of LANES. */
static inline void derivative_elements(const real *da, const real *a, Py_ssize_t count, int activation,
                                       real alpha, real *dz)
{
#define ROW(name, code)                                            \
    if (activation == code) {                                      \
        fastnn_derivative_elements(da, a, count, code, alpha, dz); \
        return;                                                    \
    }
    FASTNN_OUTPUT_ACTIVATIONS(ROW)
#undef ROW
    no_such_row("derivative_elements", activation);
}

/* da = the derivative of the loss, of `count` elements, a multiple of LANES. */
static inline void loss_derivative_elements(const real *a, const real *y, Py_ssize_t count, int loss,
                                            real alpha, real *da)
{
#define ROW(name, code)                                      \
    if (loss == code) {                                      \
        fastnn_loss_elements(a, y, count, code, alpha, da);  \
        return;                                              \
    }
    FASTNN_LOSSES(ROW)
#undef ROW
    no_such_row("loss_derivative_elements", loss);
}

/* One step of `count` elements, a multiple of LANES, of w and of the state, whose vectors are
 * `stride` apart; the gradient is scale * g. */
static inline void update_elements(int update, real *w, const real *g, real scale, real *state,
                                   Py_ssize_t stride, Py_ssize_t count, const double *scalars,
                                   const double *constants)
{
#define ROW(name, code, slots)                                                                \
    if (update == code) {                                                                     \
        fastnn_update_elements(code, slots, w, g, scale, state, stride, count, scalars,       \
                               constants);                                                    \
        return;                                                                               \
    }
    FASTNN_UPDATES(ROW)
#undef ROW
    no_such_row("update_elements", update);
}

/* --- the end of a tile, specialised for each kind and activation ---------------------------------- */

/* What becomes of a tile's sums. */
enum epilogue {
    ACTIVATE,         /* c = g(sum), g cheap: with "linear", the sum itself */
    ADD,              /* c += scale * sum */
    TIMES_DERIVATIVE, /* c = sum * g', from the output of g in `other` */
    TIMES,            /* c = sum * `other`, such as D */
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
    if (epilogue == TIMES) {
        fastnn_finish_rows(rows, registers, TIMES, fastnn_linear_code, left, right, c, PANEL, other, 0, 0);
        return;
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
INLINED(void fastnn_combined_rows(int, int, const real *, Py_ssize_t, const real *, Py_ssize_t, real *));
INLINED(void fastnn_matvec_rows(int, const real *, Py_ssize_t, const real *, Py_ssize_t, const real *, real *));

#endif
