"""Which SIMD level this CPU and operating system run: built for the baseline, asked first."""

cdef extern from *:
    """
    #if (defined(__x86_64__) || defined(__amd64__)) && defined(__GNUC__)
    /* The features of the x86-64 psABI's levels that the kernels' code can contain. */
    static const char *fastnn_simd_level(void)
    {
        __builtin_cpu_init();
        if (!__builtin_cpu_supports("sse4.2") || !__builtin_cpu_supports("popcnt"))
            return "baseline";
        if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")
            || !__builtin_cpu_supports("bmi") || !__builtin_cpu_supports("bmi2"))
            return "v2";
        if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw")
            || !__builtin_cpu_supports("avx512cd") || !__builtin_cpu_supports("avx512dq")
            || !__builtin_cpu_supports("avx512vl"))
            return "v3";
        return "v4";
    }
    #else
    static const char *fastnn_simd_level(void) { return "baseline"; }
    #endif
    """
    const char* fastnn_simd_level() nogil


def simd_level():
    """Return "v4", "v3" or "v2", the highest level that runs here, or "baseline"."""
    return fastnn_simd_level().decode("ascii")
