"""The rooms behind ``_kernels_numba.py``."""
