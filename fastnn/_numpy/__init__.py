"""The rooms behind ``_kernels_numpy.py``."""
