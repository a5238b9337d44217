"""Files: what is saved comes back, and what is damaged or hostile is refused in one sentence."""

# ruff: noqa: E501  (a row of a table is one line)

import io
import json
import os
import pickle
import re
import signal
import stat
import struct
import subprocess
import sys
import textwrap
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from support import harness
from support.tables import BACKENDS, NETWORKS

import fastnn
from fastnn.io import FormatError, loading, npz, strict_json

FORMATS = ("safetensors", "npz")
X = np.random.default_rng(0).normal(20, 5, (3, 40))
Y = np.stack([X[0] * X[1], X[2] - 5])


@pytest.fixture(params=FORMATS)
def path(request, tmp_path):
    """Where to save, in each format."""
    return tmp_path / f"model.{request.param}"


def mlp(**options):
    options = {"hidden": "tanh", "output": "linear", "seed": 3} | options
    return fastnn.MLP([3, 5, 2], **options)


def saved(path, net=None, **options):
    """The bytes of a file."""
    (net or mlp()).save(path, **options)
    return path.read_bytes()


def parse(content):
    """The network and the optimizer of these bytes."""
    return loading.parse(io.BytesIO(content))


def assert_same(twin, net):
    """Everything that a network is."""
    for name in ("layer_sizes", "activations", "loss", "dropout", "dtype"):
        assert getattr(twin, name) == getattr(net, name), name
    harness.assert_same_bits(twin.parameter_vector, net.parameter_vector)
    assert str(twin.generator.bit_generator.state) == str(net.generator.bit_generator.state)
    assert (twin.scaling is None) is (net.scaling is None)
    for pair, wanted in zip(twin.scaling or (), net.scaling or (), strict=True):
        assert (pair is None) is (wanted is None)
        for array, want in zip(pair or (), wanted or (), strict=True):
            harness.assert_same_bits(array, want)
    assert repr(twin) == repr(net)


# --- there and back -----------------------------------------------------------------------


@pytest.mark.parametrize("case", NETWORKS, ids=str)
def test_networks_come_back(path, dtype, case):
    """Every shape, activation and loss of the table, with the same bits forward."""
    from support.network_checks import examples, mlp

    net = mlp(case, dtype)
    net.generator.random(3)
    net.save(path)
    twin = fastnn.load(path)
    assert_same(twin, net)
    x = examples(case, dtype)[0]
    harness.assert_same_bits(twin.forward(x), net.forward(x))
    twin.parameters["W1"][...] = 0  # memory of its own, which may be written
    harness.assert_same_bits(fastnn.load(path).parameter_vector, net.parameter_vector)


@pytest.mark.parametrize("optimizer", [*fastnn.optimizers.OPTIMIZERS, "lbfgs"])
def test_training_goes_on_as_if_nothing_had_been(backend, path, optimizer):
    """The optimizer, the order of the examples and the dropout; on data of any unit."""
    standardize = optimizer in ("adam", "momentum")
    net = mlp(dropout=0.0 if optimizer == "lbfgs" else 0.2, dtype="float64")
    options = {} if optimizer == "lbfgs" else {"batch_size": 16, "learning_rate": 1e-3}
    options["optimizer"] = fastnn.optimizers.resolve(optimizer)
    net.fit(X, Y, epochs=3, standardize=standardize, **options)
    net.save(path, optimizer=options["optimizer"])
    twin, loaded = fastnn.load(path, with_optimizer=True)
    assert_same(twin, net)
    assert repr(loaded) == repr(options["optimizer"]) and type(loaded) is type(options["optimizer"])
    wanted = net.fit(X, Y, epochs=3, **options).cost
    harness.assert_same_bits(
        twin.fit(X, Y, epochs=3, **options | {"optimizer": loaded}).cost, wanted
    )
    harness.assert_same_bits(twin.parameter_vector, net.parameter_vector)
    assert loaded.steps == options["optimizer"].steps


def test_hyperparameters_come_back(path):
    for optimizer in (
        fastnn.optimizers.Momentum(0.7, nesterov=True), fastnn.optimizers.RMSprop(0.99, 1e-6),
        fastnn.optimizers.AdamW(0.3, 0.8, 0.9, 1e-5), fastnn.optimizers.LBFGS(7, 1e-3, 0.0),
    ):  # fmt: skip
        mlp().save(path, optimizer=optimizer)
        _, loaded = fastnn.load(path, with_optimizer=True)
        assert repr(loaded) == repr(optimizer) and loaded.steps == 0


@pytest.mark.parametrize("kind", ["PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"])
def test_every_generator_of_numpy_comes_back(path, kind):
    net = mlp(seed=np.random.Generator(getattr(np.random, kind)(5)))
    net.generator.integers(7, dtype=np.uint32)  # half of a number is left over
    net.save(path)
    twin = fastnn.load(path)
    for draw in (lambda g: g.integers(1 << 30, dtype=np.uint32), lambda g: g.normal(size=700)):
        np.testing.assert_array_equal(draw(twin.generator), draw(net.generator))


@pytest.mark.parametrize("there", BACKENDS)
def test_files_travel_between_backends(path, there):
    with fastnn.use_backend(there):
        net = mlp()
        net.save(path)
        wanted = net.forward(X)
    for here in BACKENDS:
        with fastnn.use_backend(here):
            harness.assert_norm_within("step", fastnn.load(path).forward(X), wanted, here)


def test_parameters_of_any_bits(path):
    """NaN, infinity, subnormals and signs of zero are nobody's business here."""
    net = mlp()
    net.parameter_vector.view("u4")[:8] = [
        0x7FC00000, 0xFFC12345, 0x7F800000, 0xFF800000, 1, 0x80000000, 0x80000001, 0,
    ]  # fmt: skip
    net.save(path)
    harness.assert_same_bits(fastnn.load(path).parameter_vector, net.parameter_vector)


def test_parameters_and_arguments_of_any_kind(tmp_path):
    """A string, a path; upper-case letters; a name that says nothing when it is read."""
    net = mlp(hidden=("leaky_relu", 0.3), loss=("huber", 0.1))
    net.save(str(tmp_path / "A.NPZ"))
    assert_same(fastnn.load(str(tmp_path / "A.NPZ")), net)
    for name in FORMATS:
        net.save(tmp_path / f"model.{name}")
        (tmp_path / f"model.{name}").rename(tmp_path / "model.bin")
        assert_same(fastnn.load(tmp_path / "model.bin"), net)


def test_the_same_network_gives_the_same_bytes(path):
    first = saved(path)
    time.sleep(0.01)
    assert saved(path) == first


# --- what others read and write -----------------------------------------------------------


def test_safetensors_reads_ours(tmp_path):
    path, net, adam = tmp_path / "model.safetensors", mlp(), fastnn.optimizers.Adam()
    net.fit(X, Y, epochs=2, optimizer=adam, standardize=True)
    net.save(path, optimizer=adam)
    tensors = safetensors.numpy.load_file(path)
    for name, array in net.parameters.items():
        harness.assert_same_bits(tensors.pop(name), array)
    for name in ("m", "v"):
        harness.assert_same_bits(tensors.pop(f"optimizer.{name}"), adam.state[name])
    harness.assert_same_bits(tensors.pop("scaling.X_mean"), net.scaling.X.mean)
    assert sorted(tensors) == ["scaling.X_scale", "scaling.Y_mean", "scaling.Y_scale"]
    with safetensors.safe_open(path, framework="np") as file:
        text = json.loads(file.metadata()["fastnn"])
    assert text["version"] == 1 and text["layer_sizes"] == [3, 5, 2]
    start = 8 + struct.unpack_from("<Q", path.read_bytes())[0]
    assert start % 8 == 0, "the arrays begin where any of them may"


def test_we_read_what_safetensors_writes(tmp_path):
    path, net = tmp_path / "model.safetensors", mlp(dtype="float64")
    net.fit(X, Y, epochs=2, standardize=True)
    net.save(path)
    with safetensors.safe_open(path, framework="np") as file:
        metadata = file.metadata()
    safetensors.numpy.save_file(safetensors.numpy.load_file(path), path, metadata=metadata)
    assert_same(fastnn.load(path), net)


def test_numpy_reads_ours(tmp_path):
    path, net = tmp_path / "model.npz", mlp()
    net.save(path)
    with np.load(path, allow_pickle=False) as archive:
        assert json.loads(archive["fastnn"].item())["layer_sizes"] == [3, 5, 2]
        for name, array in net.parameters.items():
            harness.assert_same_bits(archive[name], array)


@pytest.mark.parametrize(
    "change", [np.asfortranarray, lambda a: a.astype(a.dtype.newbyteorder(">"))]
)
def test_we_read_what_numpy_writes(tmp_path, change):
    """Also column by column, and in the other byte order."""
    path, net = tmp_path / "model.npz", mlp()
    net.save(path)
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive}
    text = arrays.pop("fastnn")
    np.savez(path, fastnn=text, **{name: change(array) for name, array in arrays.items()})
    assert_same(fastnn.load(path), net)


GENERATOR = {
    "bit_generator": "PCG64", "state": {"state": 1, "inc": 3}, "has_uint32": 0, "uinteger": 0,
}  # fmt: skip
DOCUMENT = {
    "version": 1, "written_by": "by hand", "layer_sizes": [1, 2], "activations": ["linear"],
    "loss": "mse", "dropout": [], "dtype": "float32", "generator": GENERATOR, "optimizer": None,
}  # fmt: skip


def by_hand(header, body, length=None):
    """A safetensors file, its header as text or to be made JSON."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def header(document=(), **entries):
    """The header of W1 = [[1], [2]], b1 = [[0.5], [-2]], with changes; None takes one away."""
    found = {
        "__metadata__": {"fastnn": json.dumps(DOCUMENT | dict(document))},
        "W1": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]},
        "b1": {"dtype": "F32", "shape": [2, 1], "data_offsets": [8, 16]},
    } | entries
    return {name: entry for name, entry in found.items() if entry is not None}


BODY = bytes.fromhex("0000803f 00000040 0000003f 000000c0")
"""1, 2, 0.5 and -2 in little-endian float32, on every platform."""


def test_bytes_by_hand():
    """The byte order does not depend on who reads."""
    net, optimizer = parse(by_hand(header(), BODY))
    assert optimizer is None and net.parameter_vector.dtype.isnative
    np.testing.assert_array_equal(net.parameter_vector, [1, 2, 0.5, -2])
    np.testing.assert_array_equal(net.forward([3.0]), [3.5, 4.0])


def test_our_bytes_are_those(tmp_path):
    net = fastnn.MLP([1, 2], output="linear", init={"W1": [[1], [2]], "b1": [[0.5], [-2]]})
    for name in FORMATS:
        content = saved(tmp_path / f"model.{name}", net)
        assert (BODY if name == "safetensors" else BODY[:8]) in content


# --- refused before anything is written ---------------------------------------------------


class OwnOptimizer(fastnn.optimizers.Adam):
    """Nobody who loads it would know it."""


def of_other(optimizer):
    fastnn.MLP([1, 1]).step([[1.0]], [[1.0]], optimizer=optimizer)
    return optimizer


def not_finite(optimizer):
    mlp().step(X, Y, optimizer=optimizer)
    optimizer.state["m"][3] = np.inf
    return optimizer


def misused(optimizer):
    optimizer.beta1 = 2.0
    return optimizer


@pytest.mark.parametrize(
    "net, options, error, words",
    [
        (mlp(loss=lambda A, Y: (0.0, A)), {}, ValueError, "loss '<lambda>' is a function, which a"),
        (mlp(), {"optimizer": "adam"}, TypeError, "optimizer must be an Optimizer.*got 'adam'"),
        (mlp(), {"optimizer": OwnOptimizer()}, TypeError, "a OwnOptimizer cannot be saved, only"),
        (mlp(), {"optimizer": of_other(fastnn.optimizers.Adam())}, ValueError, "has the state of"),
        (mlp(), {"optimizer": not_finite(fastnn.optimizers.Adam())}, ValueError, "m contains inf"),
        (mlp(), {"optimizer": misused(fastnn.optimizers.Adam())}, ValueError, "beta1 must be a"),
    ],
    ids=["own loss", "a name", "own optimizer", "another's", "not finite", "misused"],
)  # fmt: skip
def test_what_cannot_be_saved(path, net, options, error, words):
    before = saved(path)
    with pytest.raises(error, match=words):
        net.save(path, **options)
    assert path.read_bytes() == before and os.listdir(path.parent) == [path.name]


def test_more_layers_than_can_be_read(path, monkeypatch):
    before = saved(path)
    monkeypatch.setattr(strict_json, "LONGEST", 2000)
    with pytest.raises(ValueError, match="so many layers cannot be saved: its description has"):
        fastnn.MLP([1] * 300).save(path)
    assert path.read_bytes() == before and os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("name", ["model", "model.pkl", "model.safetensors.gz", ".npz"])
def test_other_endings(tmp_path, name):
    with pytest.raises(ValueError, match=r"path must end in .safetensors or .npz, got '"):
        mlp().save(tmp_path / name)
    with pytest.raises(TypeError):
        mlp().save(3)
    assert os.listdir(tmp_path) == []


# --- atomic -------------------------------------------------------------------------------


def test_permissions_and_links_stay(path):
    mask = os.umask(0o027)
    try:
        saved(path)
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o604)
    link = path.with_name(f"link{path.suffix}")
    link.symlink_to(path)
    net = mlp(seed=8)
    net.save(link)
    assert link.is_symlink() and stat.S_IMODE(path.stat().st_mode) == 0o604
    assert_same(fastnn.load(path), net)


@pytest.mark.parametrize("when", ["open", "write", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_file(path, monkeypatch, when):
    """Wherever the system says that there is no room; nothing else stays behind."""
    before = saved(path)

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    if when == "open":
        monkeypatch.setattr("fastnn.io.atomic.open", full, raising=False)
    elif when == "write":
        monkeypatch.setattr(f"fastnn.io.{path.suffix[1:]}.little_endian", full)
    else:
        monkeypatch.setattr(os, when, full)
    with pytest.raises(OSError, match="No space left"):
        mlp(seed=8).save(path)
    monkeypatch.undo()
    assert path.read_bytes() == before and os.listdir(path.parent) == [path.name]


def test_a_file_that_may_not_grow(run_python, path):
    """The real thing: the system writes a part, and then refuses."""
    before = saved(path)
    done = run_python(
        f"""
        import os, resource, signal
        import fastnn
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            fastnn.MLP([300, 300, 300]).save({str(path)!r})
        except OSError as error:
            print(type(error).__name__, error.errno)
        """
    )
    assert done.stdout == "OSError 27\n"
    assert path.read_bytes() == before and os.listdir(path.parent) == [path.name]


WRITER = """
import itertools, sys
import fastnn
net = fastnn.MLP([60, 60, 1], init="zeros")
print("ready", flush=True)
for i in itertools.count():
    net.parameter_vector[:] = i
    net.save(sys.argv[1])
"""


def writer(path):
    """A process that saves again and again, from its second file on."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, cwd=path.parent
    )
    assert process.stdout.readline() == b"ready\n"
    return process


def test_a_kill_leaves_a_whole_file(path):
    fastnn.MLP([60, 60, 1], init="zeros").save(path)
    for delay in (0.05, 0.051, 0.053, 0.057):
        process = writer(path)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert np.ptp(fastnn.load(path).parameter_vector) == 0, "one whole file of one moment"


def test_two_writers_and_a_reader(path):
    fastnn.MLP([60, 60, 1], init="zeros").save(path)
    processes = [writer(path), writer(path)]
    try:
        for _ in range(100):
            assert np.ptp(fastnn.load(path).parameter_vector) == 0
    finally:
        for process in processes:
            process.kill()
            process.wait()
            process.stdout.close()


# --- refused, in one sentence: rows 55 to 64 of the list of bad inputs ---------------------


def refused(content, path):
    """The message of the FormatError for a file with this content."""
    path.write_bytes(content)
    with pytest.raises(FormatError) as caught:
        fastnn.load(path)
    message = str(caught.value)
    assert message.startswith(f"'{path}': ") and "\n" not in message and len(message) <= 600
    return message.removeprefix(f"'{path}': ")


def test_missing_and_special_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        fastnn.load(tmp_path / "no.npz")
    os.mkfifo(tmp_path / "pipe.npz")  # which would be waited for
    for path in (tmp_path, tmp_path / "pipe.npz", Path("/dev/zero")):
        with pytest.raises(FormatError, match="': it is no regular file"):
            fastnn.load(path)
    assert issubclass(FormatError, ValueError) and fastnn.FormatError is FormatError
    with pytest.raises(TypeError):
        fastnn.load(b"".join)


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"PK\3\4", b"garbage" * 9, b"\0" * 99, b"\xff" * 99]
)
def test_empty_and_garbage(path, content):
    assert refused(content, path)


def test_every_truncation_is_refused(path):
    content = saved(path)
    for length in range(len(content)):
        with pytest.raises(FormatError):
            parse(content[:length])
    for more in (b"\0", b"{}", b"\0" * 100):
        if path.suffix == ".safetensors":
            assert refused(content + more, path) == f"{len(more)} bytes follow the last tensor"


def test_no_optimizer(path):
    saved(path)
    with pytest.raises(ValueError, match=r"has no optimizer: net.save\(path, optimizer=...\)"):
        fastnn.load(path, with_optimizer=True)
    with pytest.raises(TypeError, match="with_optimizer must be True or False"):
        fastnn.load(path, with_optimizer=1)


def archive(members, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as out:
        for name, content in members:
            out.writestr(zipfile.ZipInfo(name), content, compression)
    return file.getvalue()


def npy(array, **changes):
    """An npy file; changes are bytes of its header: descr=(b"<f4", b"<f2")."""
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array))
    content = file.getvalue()
    for old, new in changes.values():
        assert old in content
        content = content.replace(old, new)
    return content


TEXT = ("fastnn.npy", npy(np.array(json.dumps(DOCUMENT).encode())))
W1, b1 = np.float32([[1], [2]]), np.float32([[0.5], [-2]])
LONG = b"\x93NUMPY\1\0" + struct.pack("<H", 10_001) + b" " * 10_000 + b"\n"
NPZ = {
    "objects": ([TEXT, ("W1.npy", npy(np.array([[1], [None]])))], "'W1' holds Python objects, which are never"),
    "8 TB": ([TEXT, ("W1.npy", npy(W1, shape=(b"(2, 1), }" + b" " * 12, b"(2000000000000, 1), }")))], "shape .2000000000000, 1. of float32, but 8 b"),
    "overflow": ([TEXT, ("W1.npy", npy(W1, shape=(b"(2, 1), }" + b" " * 36, b"(4611686018427387904, 4611686018427387904), }"[:45])))], "damaged|shape"),
    "long header": ([TEXT, ("W1.npy", LONG)], "the header of 'W1' would have 10001 bytes, more than 10000"),
    "past the end": ([TEXT, ("W1.npy", LONG[:8] + b"\xff\x0f" + b"x" * 99)], "header of 'W1' is damaged"),
    "half floats": ([TEXT, ("W1.npy", npy(W1.astype("f2")))], "header of 'W1' is damaged, or of something else"),
    "code": ([TEXT, ("W1.npy", npy(W1, shape=(b"(2, 1)", b"exit()")))], "header of 'W1' is damaged"),
    "no npy": ([TEXT, ("W1.npy", b"1, 2")], "'W1' is no npy file"),
    "another name": ([TEXT, ("W1.txt", b"1, 2")], "has 'W1.txt', which is twice there or no .npy"),
    "twice": ([TEXT, ("W1.npy", npy(W1)), ("W1.npy", npy(W1))], "has 'W1.npy', which is twice"),
    "no text": ([("W1.npy", npy(W1))], "no text 'fastnn': it was not written by fastnn"),
    "numbers for the text": ([("fastnn.npy", npy(W1))], "no text 'fastnn'"),
    "texts for numbers": ([TEXT, ("W1.npy", npy(np.array(b"x")))], "'W1' must be of float32 or float64"),
    "no UTF-8": ([("fastnn.npy", npy(np.array(b"\xff\xfe")))], "is not UTF-8"),
    "no JSON": ([("fastnn.npy", npy(np.array(b"{x")))], "the description is not valid JSON"),
    "empty": ([], "no text 'fastnn'"),
}  # fmt: skip


@pytest.mark.parametrize("members, words", NPZ.values(), ids=NPZ)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_npz_refused(tmp_path, members, words):
    message = refused(archive(members), tmp_path / "model.npz")
    assert re.search(words, message), message


def test_npz_that_is_compressed(tmp_path):
    """What a member claims would have to be believed."""
    content = archive([TEXT, ("W1.npy", npy(np.zeros((10_000, 1))))], zipfile.ZIP_DEFLATED)
    assert "is compressed, wanted plain bytes" in refused(content, tmp_path / "model.npz")


def test_npz_of_overlapping_members(tmp_path):
    """Many entries of one large member: each is plain, all together are a bomb."""
    content = archive([("00000.npy", bytes(10_000))])
    start, stop = content.index(b"PK\1\2"), content.index(b"PK\5\6")
    entry = content[start:stop]
    entries = b"".join(entry[:46] + b"%05d.npy" % i for i in range(500))
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 500, 500, len(entries), start, 0)
    message = refused(content[:start] + entries + end, tmp_path / "model.npz")
    assert message.startswith("the members claim 5000000 bytes, but the archive has ")


def test_npz_with_a_flipped_bit(tmp_path):
    net = mlp()
    content = bytearray(saved(tmp_path / "model.npz", net))
    content[content.index(net.parameters["W1"].tobytes())] ^= 1
    assert "Bad CRC-32" in refused(bytes(content), tmp_path / "model.npz")


DEEP = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
ENTRY = {"dtype": "F32", "shape": [2, 1], "data_offsets": [8, 16]}


def entry(**changes):
    return header(b1=ENTRY | changes)


SAFETENSORS = {
    "header past the end": (by_hand(header(), b"", 10_000), "would have 10000 bytes, but only"),
    "header > 100 MB": (by_hand(header(), BODY, 100_000_001), "100000001 bytes, more than 4194304"),
    "header of 2^64 - 1": (by_hand(header(), BODY, 2**64 - 1), "18446744073709551615 bytes"),
    "no header": (by_hand(b"", BODY), "the header does not begin with '{'"),
    "leading space": (by_hand(b" " + json.dumps(header()).encode(), BODY), "does not begin with '{'"),
    "a list": (by_hand([1], BODY), "does not begin with '{'"),
    "no UTF-8": (by_hand(b'{"\xff":1}', BODY), "the header is not valid JSON"),
    "no JSON": (by_hand(b'{"a":}', BODY), "the header is not valid JSON"),
    "two objects": (by_hand(b"{}{}", BODY), "the header is not valid JSON"),
    "duplicate names": (by_hand(json.dumps(header()).encode()[:-1] + b', "b1": 0}', BODY), "the header has 'b1' twice"),
    "duplicate keys": (by_hand(json.dumps(header()).replace('"shape"', '"dtype": "F32", "shape"').encode(), BODY), "the header has 'dtype' twice"),
    "100,000 deep": (by_hand(DEEP, BODY), "the header is nested too deeply"),
    "deep description": (by_hand({"__metadata__": {"fastnn": DEEP.decode()}}, b""), "the description is nested too deeply"),
    "endless digits": (by_hand(b'{"a":' + b"9" * 5000 + b"}", BODY), "the header has an integer of 5000 digits"),
    "NaN": (by_hand(b'{"a": NaN}', BODY), "the header has NaN, which is no JSON"),
    "overlap": (by_hand(entry(data_offsets=[4, 12]), BODY), "tensor 'b1' overlaps the one before it, at byte 4"),
    "hole": (by_hand(entry(data_offsets=[12, 20]), BODY + b"1234"), "tensor 'b1' follows a hole, at byte 12"),
    "hole at the start": (by_hand(header(W1=None), BODY), "'b1' follows a hole"),
    "trailing bytes": (by_hand(header(), BODY + b"x"), "1 bytes follow the last tensor"),
    "truncated": (by_hand(header(), BODY[:-1]), "'b1' ends at byte 16 of the data, which has 15: the file is truncated"),
    "shape and bytes": (by_hand(entry(shape=[3, 1]), BODY), r"'b1' has the shape (3, 1) of float32, but 8 bytes"),
    "overflow": (by_hand(entry(shape=[2**62, 2**62, 8]), BODY), "tensor 'b1' has the shape (4611686018427387904"),
    "wraps to 8": (by_hand(entry(shape=[2**62 + 1, 2]), BODY), "tensor 'b1' has the shape"),
    "many dimensions": (by_hand(entry(shape=[2] + [1] * 100), BODY), "tensor 'b1' has the shape"),
    "no elements": (by_hand(header(c={"dtype": "F32", "shape": [0], "data_offsets": [16, 16]}), BODY), "'c' has the shape (0,)"),
    "negative": (by_hand(entry(shape=[-2, -1]), BODY), "tensor 'b1' has the shape [-2, -1]"),
    "huge": (by_hand(entry(shape=[2**63]), BODY), "tensor 'b1' has the shape"),
    "True": (by_hand(entry(shape=[True, 2]), BODY), "tensor 'b1' has the shape [True, 2]"),
    "2.0": (by_hand(entry(shape=[2.0, 1]), BODY), "tensor 'b1' has the shape [2.0, 1]"),
    "offsets backwards": (by_hand(entry(data_offsets=[16, 8]), BODY), "'b1' has the data_offsets [16, 8]"),
    "three offsets": (by_hand(entry(data_offsets=[8, 16, 24]), BODY), "data_offsets [8, 16, 24]"),
    "unknown dtype": (by_hand(entry(dtype="F31"), BODY), "'b1' must be of F32 or F64, got 'F31'"),
    "another dtype": (by_hand(entry(dtype="BF16"), BODY), "'b1' must be of F32 or F64, got 'BF16'"),
    "no dtype": (by_hand(entry(dtype=["F32"]), BODY), "'b1' must be of F32 or F64"),
    "more fields": (by_hand(entry(more=1), BODY), "'b1' must have dtype, shape and data_offsets, and no more"),
    "no fields": (by_hand(header(b1=3), BODY), "'b1' must have dtype"),
    "no metadata": (by_hand(header(__metadata__=None), BODY), "no 'fastnn': these tensors were not written by fastnn"),
    "other metadata": (by_hand(header(__metadata__={"format": "pt"}), BODY), "not written by fastnn"),
    "metadata of numbers": (by_hand(header(__metadata__={"fastnn": 1}), BODY), "must hold texts by name"),
}  # fmt: skip


@pytest.mark.parametrize("content, words", SAFETENSORS.values(), ids=SAFETENSORS)
def test_safetensors_refused(tmp_path, content, words):
    assert words in refused(content, tmp_path / "model.safetensors")


def described(**changes):
    return by_hand(header(changes), BODY)


def tensors(body=BODY, **entries):
    return by_hand(header(**entries), body)


def of(size, *offsets):
    return {"dtype": "F32", "shape": [size], "data_offsets": offsets}


STATE = GENERATOR["state"]
ADAM = {
    "name": "adam",
    "steps": 1,
    "hyperparameters": {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
}
MERSENNE = {"bit_generator": "MT19937", "state": {"key": [1] * 624, "pos": 625}}
PHILOX = {
    "bit_generator": "Philox", "state": {"counter": [0] * 4, "key": [0] * 2}, "buffer": [0] * 4,
    "buffer_pos": 5, "has_uint32": 0, "uinteger": 0,
}  # fmt: skip
DOCUMENTS = {
    "future": (described(version=2, written_by="fastnn 9.1", more=1), "the version is 2, written by 'fastnn 9.1'; fastnn 0.1.0 reads versions up to 1: install a newer one"),
    "no version": (described(version=None), "version must be an integer >= 1, got None"),
    "True": (described(version=True), "version must be an integer >= 1, got True"),
    "more": (described(more=1), "too much or too little: ['more']"),
    "no JSON": (by_hand(header(__metadata__={"fastnn": "{"}), BODY), "the description is not valid JSON"),
    "sizes of text": (described(layer_sizes="12"), "layer_sizes must be a list, got '12'"),
    "sizes of 0": (described(layer_sizes=[0, 2]), "layer_sizes[0] must be an integer >= 1, got 0"),
    "one size": (described(layer_sizes=[2]), "layer_sizes must name at least the inputs and the outputs"),
    "no chain": (described(layer_sizes=[3, 2]), "layer 1: tensor 'W1' has shape (2, 1) of float32, wanted (2, 3)"),
    "missing layer": (described(layer_sizes=[1, 2, 2]), "layer 2 lacks its tensor 'W2'"),
    "missing tensor": (by_hand(header(W1=None, b1=ENTRY | {"data_offsets": [0, 8]}), BODY[:8]), "layer 1 lacks its tensor 'W1'"),
    "a million layers": (described(layer_sizes=[1] * 1_000_000), "layer 2 lacks its tensor 'W2'"),
    "large layers": (described(layer_sizes=[10**10, 10**10]), "more than an array can hold"),
    "endless layers": (described(layer_sizes=[10**39, 10**39]), "more than an array can hold"),
    "8 TB": (described(layer_sizes=[10**6, 2 * 10**6]), "layer 1: tensor 'W1' has shape (2, 1) of float32, wanted (2000000, 1000000)"),
    "another dtype": (described(dtype="float64"), "layer 1: tensor 'W1' has shape (2, 1) of float32, wanted (2, 1) of float64"),
    "no dtype": (described(dtype="O"), "dtype must be float32 or float64, got 'O'"),
    "unknown activation": (described(activations=["relu6"]), "output must be one of"),
    "no pair": (described(activations=[["relu", 1, 2]]), "output must be a name or"),
    "activations": (described(activations=["relu", "relu"]), "there are 2 activations, but 1 layers"),
    "unknown loss": (described(loss="focal"), "loss must be one of"),
    "wrong loss": (described(loss="cross_entropy"), "loss 'cross_entropy' needs an output of 'softmax'"),
    "no dropout": (described(dropout=[0.5]), "dropout has 1 values, but there are 0 hidden"),
    "dropout": (described(dropout=0.5), "dropout must be a list, got 0.5"),
    "too many tensors": (tensors(BODY + BODY, W7=of(4, 16, 32)), "tensor 'W7' belongs to nothing"),
    "no generator": (described(generator=None), "the generator is of an unknown kind, None"),
    "unknown generator": (described(generator=GENERATOR | {"bit_generator": "BitGenerator"}), "unknown kind, 'BitGenerator'"),
    "state of text": (described(generator=GENERATOR | {"uinteger": "1"}), "has '1' for 'uinteger'"),
    "large state": (described(generator=GENERATOR | {"state": STATE | {"inc": 2**128}}), "for 'inc'"),
    "negative state": (described(generator=GENERATOR | {"state": STATE | {"state": -1}}), "has -1 for 'state'"),
    "lists in the kind": (described(generator={"bit_generator": ["PCG64"]}), "the generator is of an unknown kind"),
    "beyond the key": (described(generator=MERSENNE), "has 625 for 'pos'"),
    "short key": (described(generator=MERSENNE | {"state": {"key": [1], "pos": 1}}), "has [1] for 'key'"),
    "beyond the buffer": (described(generator=PHILOX), "has 5 for 'buffer_pos'"),
    "vectors of nobody": (tensors(BODY + BODY, **{"optimizer.m": of(4, 16, 32)}), "there are vectors of an optimizer, but no optimizer"),
    "unknown optimizer": (described(optimizer=ADAM | {"name": "lion"}), "optimizer must be one of"),
    "no optimizer": (described(optimizer="adam"), "the optimizer must have ['hyperparameters', 'name', 'steps']"),
    "no steps": (described(optimizer=ADAM | {"steps": -1}), "steps must be an integer >= 0, got -1"),
    "hyperparameter": (described(optimizer=ADAM | {"hyperparameters": {"beta1": 2, "beta2": 0, "epsilon": 1}}), "beta1 must be a number"),
    "hyperparameters": (described(optimizer=ADAM | {"hyperparameters": {}}), "hyperparameters of 'adam' are"),
    "another's": (described(optimizer=ADAM | {"hyperparameters": {"rho": 1}}), "hyperparameters of 'adam' are ['beta1', 'beta2', 'epsilon'], got ['rho']"),
    "half a scaling": (tensors(BODY + BODY[:4], **{"scaling.X_mean": of(1, 16, 20)}), "one of X_mean and X_scale is missing"),
    "a scaling of Y alone": (tensors(BODY + BODY, **{"scaling.Y_mean": of(2, 16, 24), "scaling.Y_scale": of(2, 24, 32)}), "wanted X_mean and X_scale"),
    "a scaling of 3": (tensors(BODY + BODY[:12] * 2, **{"scaling.X_mean": of(3, 16, 28), "scaling.X_scale": of(3, 28, 40)}), "X.mean has shape (3,), wanted (1,)"),
}  # fmt: skip


@pytest.mark.parametrize("content, words", DOCUMENTS.values(), ids=DOCUMENTS)
def test_documents_refused(tmp_path, content, words):
    """Shapes that do not chain, missing layers, later versions, and states that C would trust."""
    assert words in refused(content, tmp_path / "model.safetensors")


def test_texts_that_are_too_long():
    with pytest.raises(FormatError, match="the text would have 4194305 bytes, more than 4194304"):
        strict_json.loads("the text", b"{" * (strict_json.LONGEST + 1))
    content = archive([("fastnn.npy", npy(np.array(b"{" * (strict_json.LONGEST + 1))))])
    with pytest.raises(FormatError, match="the description would have 4194305 bytes"):
        parse(content)


@pytest.mark.parametrize(
    "content", [b"", b"PK\3\4", by_hand(header(), BODY)], ids=["0", "PK", "good"]
)
def test_a_terabyte_is_refused_without_reading_it(tmp_path, content):
    """A sparse file has any size, and costs nothing until somebody reads it."""
    path = tmp_path / "model.npz"
    path.write_bytes(content)
    os.truncate(path, 1 << 40)
    tracemalloc.start()
    with pytest.raises(FormatError):
        fastnn.load(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_refusing_takes_no_memory(tmp_path):
    """Whatever a file of some kilobytes says."""
    hostile = [content for content, _ in (*SAFETENSORS.values(), *DOCUMENTS.values())]
    hostile += [archive(members) for name, (members, _) in NPZ.items() if name != "twice"]
    for content in hostile:
        tracemalloc.start()
        with pytest.raises(FormatError):
            parse(content)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1_000_000 + 40 * len(content), f"{peak} bytes for {content[:200]}"


def test_safetensors_refuses_most_of_it_too():
    """Where the package accepts what we refuse, it is about names, or about our own content."""
    more = {
        "header > 100 MB", "duplicate names", "duplicate keys", "leading space", "another dtype", "no elements",
        "many dimensions", "no metadata", "other metadata", "deep description", "more fields",
    }  # fmt: skip
    for name, (content, _) in SAFETENSORS.items():
        try:
            safetensors.deserialize(content)
        except safetensors.SafetensorError:
            pass
        else:
            assert name in more, name


# --- pickles of other versions: row 65 ----------------------------------------------------


def test_a_pickle_of_another_version_warns():
    net = mlp()
    state = net.__getstate__()
    twin = fastnn.MLP.__new__(fastnn.MLP)
    with pytest.warns(
        UserWarning, match="this MLP was pickled by fastnn 0.0.7, and is unpickled by 0.1.0"
    ):
        twin.__setstate__(state | {"version": "0.0.7"})
    assert_same(twin, net)
    assert_same(pickle.loads(pickle.dumps(net)), net)


# --- what it costs ------------------------------------------------------------------------


def test_nothing_heavy_is_loaded_before_it_is_used(run_python):
    code = """
        import sys
        import fastnn
        assert not {"json", "zipfile", "fastnn.io.document", "safetensors"} & set(sys.modules)
        assert fastnn.load.__name__ == "load" and fastnn.io.FormatError is fastnn.FormatError
        print("safetensors" in sys.modules)
    """
    assert run_python(textwrap.dedent(code)).stdout == "False\n"


def test_magic():
    """A safetensors file cannot begin like an archive: its header would be too long."""
    for magic in npz.MAGIC:
        assert int.from_bytes(magic, "little") > strict_json.LONGEST
