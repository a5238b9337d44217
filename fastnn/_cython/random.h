/* SplitMix64 (see _numpy/random.py), for single numbers and for a register full of them. */
#ifndef FASTNN_RANDOM_H
#define FASTNN_RANDOM_H

#define GOLDEN UINT64_C(0x9E3779B97F4A7C15)

/* The output function of SplitMix64; all arithmetic is modulo 2^64. */
#define FASTNN_MIX64(z)                            \
    do {                                           \
        z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9); \
        z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB); \
        z = z ^ (z >> 31);                         \
    } while (0)

static inline uint64_t mix64(uint64_t z)
{
    FASTNN_MIX64(z);
    return z;
}

typedef uint64_t words __attribute__((vector_size(FASTNN_VECTOR_BYTES)));
enum { WORDS = FASTNN_VECTOR_BYTES / 8 };

/* The numbers place, place + 1, ... of a stream. */
static inline words words_of(uint64_t stream, uint64_t place)
{
    words z;
#pragma GCC unroll 8
    for (int k = 0; k < WORDS; k++)
        z[k] = k;
    z = (z + place) * GOLDEN + stream;
    FASTNN_MIX64(z);
    return z;
}

/* The masks of dropout for one unit and the examples of a panel: `scale` where the example's half
 * of a word (the lower one serves even examples) is below the threshold, else 0. */
static inline void mask_lanes(uint64_t stream, uint64_t place, uint32_t threshold, vector scale,
                              vector *left, vector *right)
{
#if REAL_IS_FLOAT && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    /* The halves lie side by side in the order of the examples. */
    *left = choose((mask)((vector_bits)words_of(stream, place) < threshold), scale, (vector){0});
    *right = choose((mask)((vector_bits)words_of(stream, place + WORDS) < threshold), scale, (vector){0});
#else
    real panel[PANEL];
    for (int k = 0; k < PANEL / 2; k += WORDS) {
        words z = words_of(stream, place + k);
        for (int w = 0; w < WORDS; w++) {
            panel[2 * (k + w)] = (uint32_t)z[w] < threshold ? scale[0] : 0;
            panel[2 * (k + w) + 1] = (uint32_t)(z[w] >> 32) < threshold ? scale[0] : 0;
        }
    }
    *left = load(panel);
    *right = load(panel + LANES);
#endif
}

#endif
