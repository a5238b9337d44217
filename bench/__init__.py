"""The benchmarks: verify, then time.

``python -m bench`` times the kernels and networks of every backend against the course's
plain NumPy and against the limit of the machine.  ``python -m bench.peers`` times whole
networks against PyTorch, JAX, ONNX Runtime and scikit-learn.  ``python -m bench.estimators``
times the estimators against the classes of scikit-learn that they stand in for.
``python -m bench.footprint`` measures memory and the time of an import, ``python -m
bench.accuracy`` the errors of the activations, over all numbers of float32. ``python -m
bench.compare REV`` asks whether anything is slower than at an earlier commit. ``pytest bench``
has entries for pytest-benchmark.
Install ``fastnn-kernels[bench]`` for all of it; the peers are whatever else is installed.

Read in this order: cases.py (what is timed), work.py (on which numbers), plain.py and
contenders/ (by whom), limits.py (what the machine could do), verify.py, timing.py,
session.py (the loop over it all), report.py, markdown.py and picture.py (what comes out).
"""
