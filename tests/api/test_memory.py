"""Working memory does not grow with the number of examples, and its lack does no harm."""

import pytest
from support.tables import BACKENDS

PEAK = """
    import resource, sys
    import numpy as np
    import fastnn

    def peak():
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

    from fastnn._numpy import blocks
    blocks.GATHER_BLOCK = 1 << 18  # what it gathers at a time: bounded, here by less

    m = 400_000
    rng = np.random.default_rng(0)
    X, Y = rng.random((8, m), "f4"), rng.random((2, m), "f4")
    net = fastnn.MLP([8, 64, 2], hidden="tanh", output="linear")
    call = {
        "gradients": lambda X, Y: net.gradients(X, Y),
        "cost": lambda X, Y: net.cost(X, Y),
        "score": lambda X, Y: net.score(X, Y),
        "step": lambda X, Y: net.step(X, Y),
        "fit": lambda X, Y: net.fit(X, Y, epochs=2),
        "fit in mini-batches": lambda X, Y: net.fit(X, Y, epochs=1, batch_size=64),
        "fit in large batches": lambda X, Y: net.fit(X, Y, epochs=1, batch_size=m // 4),
    }[sys.argv[1]]
    call(X[:, :4000], Y[:, :4000])  # what is loaded or compiled once is not working memory
    peaks = [peak()]
    for share in (2, 1):
        call(X[:, : m // share], Y[:, : m // share])
        peaks.append(peak())
    print(*np.diff(peaks))
"""

CALLS = [
    "gradients", "cost", "score", "step", "fit", "fit in mini-batches", "fit in large batches",
]  # fmt: skip
MOST = {"cython": 12e6, "numba": 12e6, "numpy": 40e6}
"""Bytes, a few blocks of examples; those of the NumPy kernels are larger."""


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_peak(run_python, backend, name):
    """From 200,000 to 400,000 examples no array of one number for each of them is added, but
    the order in which they are taken, 4 bytes each, and the numbers of each batch of 64: 1 MB,
    and as much again for how memory is handed out.  A1 alone would be 51 MB more."""
    done = run_python(PEAK, arguments=[name], FASTNN_BACKEND=backend)
    most, grown = map(int, done.stdout.split())
    assert most + grown < MOST[backend], f"{(most + grown) / 1e6:.1f} MB"
    assert grown < 2e6, f"{grown / 1e6:.1f} MB, {grown / 200_000:.1f} bytes an example"


LACK = """
    import resource, sys
    import numpy as np
    import fastnn

    def address_space():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * resource.getpagesize()

    def limited(room, call):
        \"\"\"Call with so many bytes to spare; return whether that was enough.\"\"\"
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (address_space() + room, hard))
        try:
            call()
        except MemoryError:
            return False
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        return True

    name = sys.argv[1]
    rng = np.random.default_rng(0)
    X, Y = rng.random((4, 3000)), rng.random((1, 3000))

    def make():
        return fastnn.MLP([4, 1000, 1000, 1], hidden="relu", output="linear", dtype="float64")

    calls = {
        "gradients": lambda net: net.gradients(X, Y)[1]["dW1"].base.copy(),
        "step": lambda net: net.step(X, Y, learning_rate=1e-3),
        "fit": lambda net: net.fit(X, Y, epochs=2, learning_rate=1e-3).cost,
        "forward": lambda net: net.forward(X),
    }
    expected_net = make()
    expected = calls[name](expected_net)
    net = make()
    before = net.parameter_vector.copy()
    failures = 0
    rooms = [*range(0, 20_000_000, 1_000_000), *range(20_000_000, 240_000_000, 10_000_000)]
    for room in rooms:
        results = []
        if limited(room, lambda: results.append(calls[name](net))):
            break
        failures += 1
        assert net.parameter_vector.tobytes() == before.tobytes(), f"{room}: parameters changed"
    else:
        sys.exit("240 MB are not enough")
    assert np.array_equal(results[0], expected), "another result than with enough memory"
    assert net.parameter_vector.tobytes() == expected_net.parameter_vector.tobytes()
    print(failures)
"""


ENVIRONMENT = {
    # The C library asks the system for each large piece, and gives it back at once.
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_TRIM_THRESHOLD_": "65536",
    # OpenBLAS ends the process where it has no memory to tell its threads what to do.
    "OPENBLAS_NUM_THREADS": "1",
    "FASTNN_NUM_THREADS": "1",
}


@pytest.mark.parametrize("name", ["gradients", "step", "fit", "forward"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_lack_of_memory(run_python, backend, name):
    """With ever more room, wherever a call runs out of it, the network is as before."""
    done = run_python(LACK, arguments=[name], FASTNN_BACKEND=backend, **ENVIRONMENT)
    assert int(done.stdout) >= 2, "memory never ran out"


LACK_LATER = """
    import resource
    import numpy as np
    import fastnn

    m = 1_000_000  # the order of the examples of one epoch takes 4 MB
    rng = np.random.default_rng(0)
    X, Y = rng.random((2, m)), rng.random((1, m))
    net = fastnn.MLP([2, 1], output="linear", dtype="float64")
    net.step(X[:, :9], Y[:, :9])  # what is compiled is compiled with memory enough
    before, state = net.parameter_vector.copy(), net.generator.bit_generator.state
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    epochs = []

    def no_more_memory(epoch, cost):
        epochs.append(epoch)
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used, hard))

    try:
        net.fit(X, Y, epochs=9, batch_size=100_000, progress=no_more_memory)
    except MemoryError:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        print("MemoryError after", len(epochs))
    assert net.parameter_vector.tobytes() == before.tobytes()
    assert net.generator.bit_generator.state == state
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_lack_of_memory_later(run_python, backend):
    """Memory runs out after the first epoch: the network and its generator are as before."""
    done = run_python(LACK_LATER, FASTNN_BACKEND=backend, **ENVIRONMENT)
    assert done.stdout == "MemoryError after 1\n"
