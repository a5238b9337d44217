"""The compiled kernels, one module for each SIMD level and dtype; ``backends`` picks one.

Each ``.pyx`` here is one line that includes ``../_kernels.pyx``.
"""
