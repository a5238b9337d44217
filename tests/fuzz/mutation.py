"""Inputs that are nearly files: seeds of the corpus with something wrong.

Most of what is changed at random is refused at the door, by a length or a checksum; so a mutation
also works on what is inside, and puts true lengths and checksums around it.
"""

import io
import json
import re
import struct
import zipfile
import zlib
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[-+.\w]+|\s+|.')

TOKENS = (
    "0", "1", "2", "3", "-1", "1.5", "1e999", "NaN", "Infinity", "null", "true", "false", '""',
    '"W1"', '"b2"', '"F32"', '"F64"', '"F16"', "[]", "{}", "[1,1]", "[[[]]]", "[" * 2000, "{", "}",
    "]", ",", ":", str(2**31), str(2**32 - 1), str(2**53), str(2**63 - 1), str(2**63), str(2**64),
    str(2**128), "9" * 50, "9" * 5000, '"relu"', '"softmax"', '["leaky_relu",-1]', '"huber"',
    '["huber",1e-300]', '"float64"', '"MT19937"', '"Philox"', '"adam"', '"lbfgs"', '"\\ud800"',
    '"\\u0000"', '"optimizer.m"', '"scaling.X_mean"', '"__metadata__"', '"x"', " ", "\\", '"',
)  # fmt: skip
"""What a piece of JSON is replaced by."""

NUMBERS = [0, 1, 2, 7, 8, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1]
LONG_NUMBERS = [*NUMBERS, 2**32, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 8, 2**64 - 1]


class Seed:
    """A file of the corpus, taken apart."""

    def __init__(self, path):
        self.name, self.data = path.name, path.read_bytes()
        self.is_npz = path.suffix == ".npz"
        if self.is_npz:
            with zipfile.ZipFile(io.BytesIO(self.data)) as archive:
                self.members = {name: archive.read(name) for name in archive.namelist()}
            text = self.members["fastnn.npy"]
            self.text = tokens(text[text.index(b"\n") + 1 :].decode())
        else:
            (length,) = struct.unpack_from("<Q", self.data)
            header, self.body = self.data[8 : 8 + length].decode(), self.data[8 + length :]
            self.header = tokens(header)
            text = json.loads(header)["__metadata__"]["fastnn"]
            self.text = tokens(text)
            self.around = header.split(json.dumps(text))
        assert self.whole() == self.data or self.is_npz

    def whole(self):
        """The file, put together again; an archive in a form of our own."""
        return zipped(self.members) if self.is_npz else framed("".join(self.header), self.body)


def seeds():
    """All files of the corpus."""
    return [Seed(path) for path in sorted(CORPUS.iterdir())]


def mutant(random, corpus):
    """One input, from ``random.Random`` and the seeds."""
    seed = corpus[random.randrange(len(corpus))]
    kind = random.randrange(4)
    if kind == 0:
        return changed(random, seed.data, corpus)
    if kind == 1 and seed.is_npz:
        members = dict(seed.members)
        name = random.choice(list(members))
        members[name] = changed(random, members[name], corpus)
        return zipped(members)
    if kind == 1:
        return framed(respelt(random, seed.header), seed.body)
    if kind == 2 and seed.is_npz:
        return zipped(_moved(random, seed.members))
    if kind == 2:
        return framed("".join(seed.header), changed(random, seed.body, corpus))
    text = respelt(random, seed.text)
    if seed.is_npz:
        return zipped(seed.members | {"fastnn.npy": npy_of_text(text.encode("utf-8", "replace"))})
    before, after = seed.around
    return framed(before + json.dumps(text) + after, seed.body)


# --- bytes --------------------------------------------------------------------------------


def changed(random, data, corpus):
    """Bytes with one to four changes."""
    data = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        place = random.randrange(len(data) + 1)
        stop = min(place + random.choice((1, 2, 4, 8, 16, 64)), len(data))
        kind = random.randrange(9)
        if kind == 0 and place < len(data):
            data[place] ^= 1 << random.randrange(8)
        elif kind == 1 and place < len(data):
            data[place] = random.choice((0, 1, 32, 34, 92, 127, 128, 255))
        elif kind == 2:
            del data[place:stop]
        elif kind == 3:
            data[place:place] = data[place:stop]
        elif kind == 4:
            data[place:place] = random.randbytes(random.choice((1, 2, 8)))
        elif kind == 5:
            del data[place:]
        elif kind == 6:
            data[place : place + 4] = random.choice(NUMBERS).to_bytes(4, "little")
        elif kind == 7:
            data[place : place + 8] = random.choice(LONG_NUMBERS).to_bytes(8, "little")
        else:
            other = random.choice(corpus).data
            start = random.randrange(len(other))
            data[place:stop] = other[start : start + random.choice((4, 16, 64, 1000))]
    return bytes(data)


# --- JSON ---------------------------------------------------------------------------------


def tokens(text):
    return TOKEN.findall(text)


def respelt(random, pieces):
    """A text with one to three of its tokens replaced, taken out, doubled or exchanged."""
    pieces = list(pieces)
    for _ in range(random.choice((1, 1, 2, 3))):
        i, j = random.randrange(len(pieces)), random.randrange(len(pieces))
        kind = random.randrange(6)
        if kind <= 2:
            pieces[i] = random.choice(TOKENS)
        elif kind == 3:
            pieces[i] = ""
        elif kind == 4:
            pieces[i] = "".join(pieces[i : i + random.choice((1, 2, 4, 8))]) * 2
        else:
            pieces[i], pieces[j] = pieces[j], pieces[i]
    return "".join(pieces)


# --- true lengths and checksums -----------------------------------------------------------


def framed(header, body):
    """A safetensors file."""
    text = header.encode("utf-8", "replace")
    return struct.pack("<Q", len(text)) + text + body


def npy_of_text(text):
    """The npy file of an array of bytes."""
    header = b"{'descr': '|S%d', 'fortran_order': False, 'shape': (), }" % len(text)
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + text


def zipped(members):
    """A zip archive of plain members."""
    local, central, offset = [], [], 0
    for name, content in members.items():
        name = name.encode()
        facts = struct.pack(
            "<5H3L2H",
            20,
            0,
            0,
            0,
            33,
            zlib.crc32(content),
            len(content),
            len(content),
            len(name),
            0,
        )
        local += [b"PK\3\4", facts, name, content]
        central += [b"PK\1\2\x14\0", facts, struct.pack("<3H2L", 0, 0, 0, 0, offset), name]
        offset += 30 + len(name) + len(content)
    directory = b"".join(central)
    count = len(members)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(directory), offset, 0)
    return b"".join(local) + directory + end


def _moved(random, members):
    """Members under names of others, without one, or with one more."""
    names = list(members)
    kind = random.randrange(3)
    one, other = random.choice(names), random.choice(names)
    if kind == 0:
        return members | {one: members[other], other: members[one]}
    if kind == 1:
        return {name: content for name, content in members.items() if name != one}
    return members | {random.choice(("W9.npy", "optimizer.m.npy", "x", "W1.npy.npy")): members[one]}
