/* One register full of numbers, for _kernels.pyx.
 *
 * GCC and Clang have vector types: `vector` below is a float or double times LANES, and
 * + - * / on it are one instruction.  Cython declares it as a plain number and writes
 * the same operators.  The lines here are what those operators cannot say: loads, stores,
 * comparisons, bits.  Each extension module is compiled for one dtype (REAL_IS_FLOAT) and
 * one SIMD level (the compiler's -march), which fixes the register's width. */
#ifndef FASTNN_VECTOR_H
#define FASTNN_VECTOR_H

#include <stdint.h>
#include <string.h>
#include <time.h>

#if !defined(__GNUC__)
#error "fastnn's kernels need GCC or Clang (FASTNN_NO_EXTENSIONS=1 installs without them)"
#endif

#if defined(FASTNN_VECTOR_BYTES)   /* to try another width than the machine's */
#elif defined(__AVX512F__)
#define FASTNN_VECTOR_BYTES 64
#elif defined(__AVX__)
#define FASTNN_VECTOR_BYTES 32
#else
#define FASTNN_VECTOR_BYTES 16
#endif

#if defined(__aarch64__)
#define FASTNN_MANY_REGISTERS 1
#else
#define FASTNN_MANY_REGISTERS 0
#endif

/* FASTNN_X86(max) is _mm256_max_ps, where registers have 32 bytes and hold floats. */
#if defined(__AVX512F__) && FASTNN_VECTOR_BYTES == 64
#include <immintrin.h>
#define FASTNN_X86(name) FASTNN_JOIN(_mm512_##name##_p, FASTNN_TYPE_LETTER)
#elif defined(__AVX__) && FASTNN_VECTOR_BYTES == 32
#include <immintrin.h>
#define FASTNN_X86(name) FASTNN_JOIN(_mm256_##name##_p, FASTNN_TYPE_LETTER)
#elif defined(__SSE2__) && FASTNN_VECTOR_BYTES == 16
#include <immintrin.h>
#define FASTNN_X86(name) FASTNN_JOIN(_mm_##name##_p, FASTNN_TYPE_LETTER)
#endif
#define FASTNN_JOIN(name, letter) FASTNN_JOIN_EXPANDED(name, letter)
#define FASTNN_JOIN_EXPANDED(name, letter) name##letter

#if REAL_IS_FLOAT
#define FASTNN_TYPE_LETTER s
typedef float real;
typedef int32_t integer;
typedef uint32_t bits;
enum { MANTISSA = 23, EXPONENT_BIAS = 127 };
#define MAGIC 12582912.0f                /* 1.5 * 2^23: adding it rounds to an integer */
#else
#define FASTNN_TYPE_LETTER d
typedef double real;
typedef int64_t integer;
typedef uint64_t bits;
enum { MANTISSA = 52, EXPONENT_BIAS = 1023 };
#define MAGIC 6755399441055744.0         /* 1.5 * 2^52 */
#endif

typedef real vector __attribute__((vector_size(FASTNN_VECTOR_BYTES)));
typedef integer mask __attribute__((vector_size(FASTNN_VECTOR_BYTES)));
typedef bits vector_bits __attribute__((vector_size(FASTNN_VECTOR_BYTES)));
typedef real unaligned_vector
    __attribute__((vector_size(FASTNN_VECTOR_BYTES), aligned(sizeof(real)), may_alias));

enum {
    SINGLE = REAL_IS_FLOAT,
    LANES = FASTNN_VECTOR_BYTES / sizeof(real),
    LINE = 64 / sizeof(real),  /* numbers in a line of the cache */
    PANEL = 2 * LANES,      /* columns of a register tile: two registers side by side */
    /* Rows of a tile, 2 * rows sums + 2 columns + 1 weight, by the registers that there are:
     *
     *   level           bytes   registers   rows   in use
     *   v2 (SSE)           16          16      6       15   one row more spills and halves the speed
     *   v3 (AVX2)          32          16      6       15
     *   v4 (AVX-512)       64          32      8       19   sums enough for two multiply-adds a cycle
     *   aarch64 (NEON)     16          32      8       19
     */
    TILE_ROWS = FASTNN_VECTOR_BYTES == 64 || FASTNN_MANY_REGISTERS ? 8 : 6,
};

static inline vector load(const real *p) { return *(const unaligned_vector *)p; }
static inline void store(real *p, vector v) { *(unaligned_vector *)p = v; }

/* All lanes x.  (x - 0 keeps -0.0, where 0 + x would not.) */
static inline vector splat(real x) { return x - (vector){0}; }

/* a where the mask is set, else b. */
static inline vector choose(mask m, vector a, vector b)
{
    return (vector)((m & (mask)a) | (~m & (mask)b));
}

/* Comparisons with NaN are false: the choice then falls on b. */
static inline vector where_less(vector x, vector y, vector a, vector b) { return choose(x < y, a, b); }
static inline vector where_positive(vector x, vector a, vector b) { return choose(x > (vector){0}, a, b); }
static inline vector where_not_positive(vector x, vector a, vector b) { return choose(x <= (vector){0}, a, b); }
static inline vector where_not_nan(vector x, vector a, vector b) { return choose(x == x, a, b); }
/* x if x > y, else y; and x if x < y, else y.  A NaN in y comes through.  x86 has it as one
 * instruction, which the compiler does not see in the comparison. */
#if defined(FASTNN_X86)
static inline vector maximum(vector x, vector y) { return (vector)FASTNN_X86(max)(x, y); }
static inline vector minimum(vector x, vector y) { return (vector)FASTNN_X86(min)(x, y); }
static inline vector square_root(vector x) { return (vector)FASTNN_X86(sqrt)(x); }
#else
static inline vector square_root(vector x)
{
    for (int l = 0; l < LANES; l++)
        x[l] = REAL_IS_FLOAT ? __builtin_sqrtf(x[l]) : __builtin_sqrt(x[l]);
    return x;
}
static inline vector maximum(vector x, vector y) { return choose(x > y, x, y); }
static inline vector minimum(vector x, vector y) { return choose(x < y, x, y); }
#endif

static inline vector sign_bit(vector x) { return (vector)((vector_bits)x & ((bits)1 << (8 * sizeof(real) - 1))); }
static inline vector magnitude(vector x) { return (vector)((vector_bits)x & ~((bits)1 << (8 * sizeof(real) - 1))); }
static inline vector with_sign(vector x, vector sign) { return (vector)((vector_bits)x | (vector_bits)sign); }

/* n - a d, exact but for its own rounding, where n is a d, or a is n / d, but for a rounding. */
static inline vector remainder_of(vector n, vector a, vector d)
{
    /* One fused operation.  Not left to the compiler: it would take x y - x y for 0. */
#if defined(__FMA__) && defined(FASTNN_X86)
    return (vector)FASTNN_X86(fnmadd)(a, d, n);
#elif defined(__FMA__) || defined(__aarch64__)
    for (int l = 0; l < LANES; l++)
        n[l] = REAL_IS_FLOAT ? __builtin_fmaf(-a[l], d[l], n[l]) : __builtin_fma(-a[l], d[l], n[l]);
    return n;
#else
    /* Products of halves are exact (Dekker, 1971). */
    const vector_bits high_half = (vector_bits){0} + ((bits)-1 << (MANTISSA / 2 + 1));
    vector a_high = (vector)((vector_bits)a & high_half);
    vector d_high = (vector)((vector_bits)d & high_half);
    return ((n - a_high * d_high) - a_high * (d - d_high)) - (a - a_high) * d;
#endif
}

/* c[0] + c[1] x + c[2] x^2 + ... of `count` coefficients, by Horner's rule. */
static inline vector polynomial(vector x, const real *c, int count)
{
    vector value = splat(c[count - 1]);
#pragma GCC unroll 32
    for (int i = count - 2; i >= 0; i--)
        value = value * x + c[i];
    return value;
}

/* 2^(n + offset) for shifted = n + MAGIC, an integer in the low bits of the mantissa. */
static inline vector power_of_two(vector shifted, int offset)
{
    return (vector)(((vector_bits)shifted << MANTISSA) + ((bits)(EXPONENT_BIAS + offset) << MANTISSA));
}

/* x = m 2^k with m in [sqrt(1/2), sqrt(2)), for normal x > 0. */
static inline vector split_exponent(vector x, vector *k)
{
    const real half_sqrt = REAL_IS_FLOAT ? (real)0.70710678f : (real)0.70710678118654752;
    const real one = 1, magic = MAGIC;
    bits low, unit, base;
    vector_bits biased;
    memcpy(&low, &half_sqrt, sizeof low);
    memcpy(&unit, &one, sizeof unit);
    memcpy(&base, &magic, sizeof base);
    biased = ((vector_bits)x + (unit - low)) >> MANTISSA;
    *k = (vector)(biased + (base - EXPONENT_BIAS)) - MAGIC;
    return (vector)((vector_bits)x - ((biased - EXPONENT_BIAS) << MANTISSA));
}

/* 0, 1, 2, ...: written out, since GCC 12 fills in a register of 64 bytes lane by lane, at run time,
 * where a loop says what it holds.  What is computed from it below is a constant too. */
#if FASTNN_VECTOR_BYTES == 16 && !REAL_IS_FLOAT
#define FASTNN_LANE_NUMBERS {0, 1}
#elif FASTNN_VECTOR_BYTES == (REAL_IS_FLOAT ? 16 : 32)
#define FASTNN_LANE_NUMBERS {0, 1, 2, 3}
#elif FASTNN_VECTOR_BYTES == (REAL_IS_FLOAT ? 32 : 64)
#define FASTNN_LANE_NUMBERS {0, 1, 2, 3, 4, 5, 6, 7}
#else
#define FASTNN_LANE_NUMBERS {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
#endif
static inline vector_bits lane_numbers(void) { return (vector_bits)FASTNN_LANE_NUMBERS; }

/* The lanes of a, b that `pick` numbers: 0 ... LANES - 1 are a's, LANES ... are b's. */
static inline vector shuffle(vector a, vector b, vector_bits pick)
{
#if defined(__clang__)
    vector result;
    for (int l = 0; l < LANES; l++)
        result[l] = pick[l] < LANES ? a[pick[l]] : b[pick[l] - LANES];
    return result;
#else
    return __builtin_shuffle(a, b, pick);
#endif
}

/* Sum of the lanes, halves first: ((0+4)+(2+6)) + ((1+5)+(3+7)) for eight. */
static inline real sum_lanes(vector v)
{
#pragma GCC unroll 4
    for (int width = LANES / 2; width; width /= 2)
        v += shuffle(v, v, lane_numbers() ^ width);
    return v[0];
}

/* The sums of four registers.  Lanes 1 apart are added first, then those 2 apart, two registers and
 * then four at a time: within 16 bytes, where the shuffles are cheap; then the halves. */
static inline void sum_lanes_of_4(const vector *v, real *sums)
{
    enum { CHUNK = 16 / sizeof(real) };
    if (LANES < 4) {
        for (int i = 0; i < 4; i++)
            sums[i] = sum_lanes(v[i]);
        return;
    }
    const vector_bits lane = lane_numbers();
    const vector_bits chunk = lane & ~(bits)(CHUNK - 1), from_b = lane & (CHUNK / 2);
    /* Four floats: a0 a2 b0 b2, and then of a01 a23 b01 b23 the same; two doubles: a0 b0, and then
     * of a01 b01 a23 b23 the first two of each register. */
    const vector_bits even = chunk + (CHUNK == 4 ? (lane & 1) * 2 : lane * 0) + from_b * (2 * LANES / CHUNK);
    const vector_bits low = CHUNK == 4 ? even : lane + (lane & 2) * (LANES / 2 - 1);
    const int step = CHUNK == 4 ? 1 : 2;
    vector a = shuffle(v[0], v[1], even) + shuffle(v[0], v[1], even + 1);
    vector b = shuffle(v[2], v[3], even) + shuffle(v[2], v[3], even + 1);
    vector sum = shuffle(a, b, low) + shuffle(a, b, low + step);
#pragma GCC unroll 4
    for (int width = LANES / 2; width >= 4; width /= 2)
        sum += shuffle(sum, sum, lane ^ width);
    memcpy(sums, &sum, 4 * sizeof(real));
}

/* v with all but its first, or its last, `count` lanes zero. */
static inline vector keep_first(vector v, int count)
{
    return (vector)((mask)v & ((mask)lane_numbers() < (mask){0} + count));
}
static inline vector keep_last(vector v, int count)
{
    return (vector)((mask)v & ((mask)lane_numbers() >= (mask){0} + (LANES - count)));
}

/* row[column[0]], row[column[1]], ...: LANES loads and their assembly, which beat the
 * gather instruction on the machines measured. */
static inline vector gather(const real *row, const uint32_t *column)
{
    vector v;
#pragma GCC unroll 16
    for (int l = 0; l < LANES; l++)
        v[l] = row[column[l]];
    return v;
}

/* Bring what p points to into the cache: later, or now. */
static inline void prefetch(const real *p) { __builtin_prefetch(p); }
static inline void touch(const real *p) { (void)*(const volatile real *)p; }

/* The lanes of a and b by turns, from the lower or the upper half of every 16 bytes, taken
 * `unit` lanes at a time: one instruction for 1 and 2 lanes of 4 bytes and for 1 of 8. */
static inline vector interleave(vector a, vector b, int unit, int upper)
{
    enum { CHUNK = 16 / sizeof(real) };
    const vector_bits lane = lane_numbers(), chunk = lane & ~(bits)(CHUNK - 1);
    const vector_bits pair = (lane & (CHUNK - 1)) / (2 * unit), from_b = (lane / unit) & 1;
    return shuffle(a, b, chunk + upper * CHUNK / 2 + pair * unit + lane % unit + from_b * LANES);
}

/* Half a register from low, half from high. */
static inline vector load_halves(const real *low, const real *high)
{
#if defined(FASTNN_X86) && FASTNN_VECTOR_BYTES == 64
    const __m512d v = _mm512_castpd256_pd512(_mm256_loadu_pd((const double *)low));
    return (vector)_mm512_insertf64x4(v, _mm256_loadu_pd((const double *)high), 1);
#elif defined(FASTNN_X86) && FASTNN_VECTOR_BYTES == 32
    const __m256 v = _mm256_castps128_ps256(_mm_loadu_ps((const float *)low));
    return (vector)_mm256_insertf128_ps(v, _mm_loadu_ps((const float *)high), 1);
#else
    vector v;
    for (int l = 0; l < LANES; l++)
        v[l] = l < LANES / 2 ? low[l] : high[l - LANES / 2];
    return v;
#endif
}

/* Transpose LANES rows of LANES numbers, row i at rows[i] + start: to[j * to_stride + i] =
 * rows[i][start + j].  First within 16 bytes, then the 16-byte blocks change places.  (Apart:
 * where GCC inlines it into a loop, it is a sixth slower.) */
__attribute__((noinline)) static void transpose_block(const real *const *rows, intptr_t start, real *to, intptr_t to_stride)
{
    enum { CHUNK = 16 / sizeof(real) };
    enum { HALF = LANES / 2 > CHUNK ? LANES / 2 : CHUNK };
    vector row[LANES];
    /* Where there is room, the halves of a register come from rows HALF apart: from memory they
     * change places for nothing. */
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++)
        if (HALF < LANES)
            row[i] = load_halves(rows[i % HALF] + start + i / HALF * HALF,
                                 rows[i % HALF + HALF] + start + i / HALF * HALF);
        else
            row[i] = load(rows[i] + start);
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i += CHUNK) {
        vector a = interleave(row[i], row[i + 1], 1, 0);
        vector b = interleave(row[i], row[i + 1], 1, 1);
        row[i] = a;
        row[i + 1] = b;
        if (CHUNK == 4) {
            vector c = interleave(row[i + CHUNK - 2], row[i + CHUNK - 1], 1, 0);
            vector d = interleave(row[i + CHUNK - 2], row[i + CHUNK - 1], 1, 1);
            row[i] = interleave(a, c, 2, 0);
            row[i + 1] = interleave(a, c, 2, 1);
            row[i + CHUNK - 2] = interleave(b, d, 2, 0);
            row[i + CHUNK - 1] = interleave(b, d, 2, 1);
        }
    }
#pragma GCC unroll 4
    for (int s = CHUNK; s < HALF; s *= 2) {
        /* Where l & s is set b's lane l - s, else a's lane l; and s more. */
        const vector_bits upper = lane_numbers() + (lane_numbers() & s) * (LANES / s - 1);
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++)
            if (!(i & s)) {
                vector a = row[i], b = row[i + s];
                row[i] = shuffle(a, b, upper);
                row[i + s] = shuffle(a, b, upper + s);
            }
    }
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++)
        store(to + i * to_stride, row[i]);
}

/* Seconds of a clock that only goes forward. */
static inline double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + 1e-9 * now.tv_nsec;
}

#endif
