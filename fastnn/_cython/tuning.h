/* Every constant that was tuned to machines: what it rules, why, and where it comes from.
 *
 * "Measured" means on an AVX-512 server core (48 KB L1d, 2 MB L2) and on Zen 3 (32 KB, 512 KB);
 * the notes are in bench/NOTES.md.  They are sizes that fit both, not asked of the machine: what
 * the system says of its caches is often wrong in a virtual machine, and bits depend on
 * DEPTH_BLOCK, BLOCK_COLUMNS and CHUNK_ELEMENTS.  What follows from the registers alone (LANES, PANEL,
 * TILE_ROWS) stands in vector.h. */
#ifndef FASTNN_TUNING_H
#define FASTNN_TUNING_H

enum {
    /* --- blocks of examples ------------------------------------------------------------- */

    /* Examples of a block.  Sums of dW over 256 are long enough to pay for their start and
     * end; with more, the panels of all layers leave the L2 cache.  Measured: 256 to 512 alike. */
    BLOCK_COLUMNS = 256,
    /* Bytes of the panels of a block, forward: they stay in an L2 cache of 2 MB, or the L3. */
    FORWARD_BLOCK_BYTES = 2 << 20,
    /* The same in training, where A of every layer waits for the backward pass; and the mini-
     * batches that are packed at a time: a row of X is then read once for many of them.
     * Measured: 6 to 12 MB alike, within the share of the L3 that a core has. */
    TRAIN_BLOCK_BYTES = 15 << 19,
    /* What the packed batches have of it at least, where the order of many examples fills it. */
    MIN_PACKED_BATCHES_BYTES = 2 << 20,

    /* --- matrix products ---------------------------------------------------------------- */

    /* Of a sum, what is taken at a time: 1024 rows of a panel (128 KB in AVX-512, 64 KB in AVX2)
     * come from the L2 cache in time, and few sums need a second part.  Measured: 1024 and 2048
     * alike, 512 slower by 3 % at sums of 784 and 1024. */
    DEPTH_BLOCK = 1024,
    /* Bytes of rows of `a` that are packed at a time: half of a 512 KB L2 cache. */
    PACKED_A_BYTES = 1 << 18,
    /* Packing them pays for at least so many panels, and more than half an L1 cache of them. */
    MIN_PANELS_TO_PACK_A = 8,
    MIN_BYTES_TO_PACK_A = 16384,
    /* Sums at least so long leave time to prefetch what they are added to. */
    MIN_DEPTH_TO_PREFETCH_C = 64,
    /* Bytes of panels that are transposed at a time for dW: the other half of that L2 cache. */
    TRANSPOSED_BYTES = 1 << 18,
    SCRATCH_BYTES = PACKED_A_BYTES + TRANSPOSED_BYTES,
    /* Threads share the panels of dW from so many for each of them, else its rows: a thread
     * then transposes only what it needs, and the shares differ by an eighth at most. */
    MIN_DW_PANELS_PER_THREAD = 8,

    /* --- arrays to panels ----------------------------------------------------------------- */

    /* Panels that are packed side by side: rows are read 512 bytes at a time, and no more
     * places are written at once than the cache has ways. */
    PACK_GROUP = 8,
    /* Rows ahead of the one being packed that are fetched from memory.  Measured: 2 to 8. */
    PACK_PREFETCH_ROWS = 4,
    /* Elements of an array that does not stay in the L2 cache (0.8 or 1.6 MB). */
    L2_ELEMENTS = 200000,

    /* --- products too small for panels ------------------------------------------------------ */

    /* Up to so many examples are taken one by one: a panel would be mostly padding.  Measured:
     * a panel of 16 or 32 costs as much as some five matrix-vector products. */
    MATVEC_EXAMPLES = 5,
    /* And Jacobians of so many: a panel of 16 costs as much as 3 or 4 of them. */
    JACOBIAN_EXAMPLES = 2,
    /* A first layer of up to so many rows is computed from X as it stands: each element of X is
     * used too little to pay for packing. */
    UNPACKED_ROWS = 3,
    /* Elements of Z (16 or 32 KB) that such a layer keeps in the L1 cache while X streams by. */
    UNPACKED_ELEMENTS = 4096,

    /* --- optimizers ----------------------------------------------------------------------- */

    /* Parameters whose squares are summed at a time (16 or 32 KB): however many threads share the
     * chunks, their sums are added in the same order. */
    CHUNK_ELEMENTS = 4096,

    /* --- threads ---------------------------------------------------------------------------- */

    /* Starting a thread takes some 50 microseconds: from so many multiply-adds in a call (1 ms)
     * that is little. */
    MIN_MACS_FOR_THREADS = 40000000,
    /* A barrier takes some microseconds: each thread needs so many multiply-adds between two. */
    MIN_MACS_PER_THREAD = 250000,
    /* Where the cores of two threads share no cache, far more: those that share blocks read all that
     * the other wrote.  Measured on two dies, whole calls: 0.5 of the speed of one thread at 0.3
     * million, 0.8 at 3, 1.0 at 10.  Parts done alone have only their gradients in common. */
    MIN_MACS_PER_FAR_THREAD = 6000000,
    MIN_MACS_PER_FAR_PART = 1000000,
    /* Words to and fro between two threads that tell how far they are. */
    QUESTIONS = 16,
    /* Multiply-adds between two looks for Ctrl-C: some 20 ms at the slowest. */
    POLL_MACS = 100000000,
    /* Turns of a waiting loop before the processor is offered to others: some 10 microseconds,
     * longer than a barrier of threads that all run. */
    SPINS = 1000,
};

/* The cost of dW in cycles, for the choice of its shape (see `shape_of_dW`); all measured. */
#define DW_HALF_PANEL_CYCLES 0.7      /* of a panel of which one register counts */
#define DW_TRANSPOSE_CYCLES 0.2       /* of each lane of a panel, to be transposed */
#define DW_SCATTER_CYCLES 1.5         /* of each element, where lanes run along a column of dW */
#define DW_DOT_CYCLES 1.3             /* of a dot product's step, A_prev in the L1 cache */
#define DW_FAR_DOT_CYCLES 2.2         /* the same, A_prev beyond it */
#define DW_DOT_END_CYCLES 4           /* to add up the lanes of a dot product */
#define DW_NEAR_BYTES 24576           /* of A_prev: three quarters of a 32 KB L1 cache */

/* A helper that gets no processor would hold up the others: one that has not come by this time
 * is not let in. */
#define ENROLMENT_SECONDS 1e-4
/* From so long for a word to and fro, at the least, threads are far from each other.  Measured: 60 to
 * 80 ns where the cores share a cache, 330 to 360 where not; the clock adds some 30. */
#define FAR_SECONDS 2.5e-7
/* And so long is waited for a word. */
#define PATIENCE_SECONDS 1e-5
/* A team whose caller waits for more than this share of its time is dissolved; at one half, two
 * threads are no faster than one.  The share is that of the window of time (at first, of any
 * time), and waiting of less than WAITED_SECONDS in it is nothing. */
#define WAITED_SHARE 0.4
#define WAITED_SECONDS 3e-4
#define WINDOW_SECONDS 2e-2

#endif
