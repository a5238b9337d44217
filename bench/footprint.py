"""``python -m bench.footprint``: what fastnn needs besides time.

Memory: how much a call needs beyond its inputs, outputs and parameters, for growing
numbers of examples, as the peak of the resident set of a fresh process.  Import: how long
``import fastnn`` takes after ``import numpy``.  Size: that of the installed package.
"""

import argparse
import subprocess
import sys
from pathlib import Path

__all__ = ["main"]

CALL = """
import resource, sys
import numpy as np, fastnn

def peak():
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

m = {m}
rng = np.random.default_rng(0)
net = fastnn.MLP([64, 64, 64, 8], hidden="relu", output="linear")
fastnn.set_num_threads(1)

def call(X, Y):
    {call}

call(rng.random((64, 100), np.float32), rng.random((8, 100), np.float32))
X, Y = rng.random((64, m), np.float32), rng.random((8, m), np.float32)
before = peak()
result = call(X, Y)
print(peak() - before - (result.nbytes if result is not None else 0))
"""

CALLS = {
    "forward": "return net.forward(X)",
    "fit, full batch": "net.fit(X, Y, epochs=1, learning_rate=1e-3)",
    "fit, batches of 64": "net.fit(X, Y, epochs=1, learning_rate=1e-3, batch_size=64)",
}

IMPORT = """
import time
import numpy
started = time.perf_counter()
import fastnn
print(time.perf_counter() - started)
"""


def main(arguments=None):
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.footprint", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="no more than 10,000 examples")
    options = parser.parse_args(arguments)
    examples = (1_000, 10_000) if options.quick else (1_000, 10_000, 100_000, 1_000_000)
    print("working memory of a 64-64-64-8 network in float32, MB")
    print(f"{'examples':<20}" + "".join(f"{m:>12,}" for m in examples))
    for name, call in CALLS.items():
        needed = [_answer(CALL.format(m=m, call=call)) / 1e6 for m in examples]
        print(f"{name:<20}" + "".join(f"{megabytes:>12.1f}" for megabytes in needed))
    seconds = min(_answer(IMPORT) for _ in range(10))
    print(f"import fastnn after NumPy: {1e3 * seconds:.1f} ms")
    print(f"size of the package as it is installed: {_package_bytes() / 1e6:.1f} MB")


def _answer(code):
    """The number that a fresh Python prints."""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(run.stdout)


def _package_bytes():
    import fastnn

    files = Path(fastnn.__file__).parent.rglob("*.*")
    return sum(file.stat().st_size for file in files if "__pycache__" not in file.parts)


if __name__ == "__main__":
    sys.exit(main())
