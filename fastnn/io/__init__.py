"""Files: networks that outlive the process.

``net.save(path)`` and `fastnn.load`; what cannot be read is a `FormatError`.  Never pickle, and
nothing beyond NumPy is needed.

| room | its job |
|---|---|
| `saving`, `loading` | `MLP.save` and `fastnn.load`: from a network to a file and back |
| `document` | what of a network is in a file: arrays by name, and a text that says the rest |
| `generators` | the state of a random generator as numbers, and back |
| `formats` | which format a file has |
| `safetensors`, `npz` | arrays and a text as bytes, and back |
| `arrays`, `strict_json` | what both formats take from bytes that nobody has vouched for |
| `atomic` | a file that is written whole or not at all |
"""

from fastnn.io.errors import FormatError

__all__ = ["FormatError"]
