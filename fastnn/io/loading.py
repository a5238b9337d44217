"""`fastnn.load`: a file as a network."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, overload

from fastnn import checks
from fastnn.io import document, formats
from fastnn.io.errors import FormatError

if TYPE_CHECKING:
    from fastnn.network import MLP
    from fastnn.optimizers import Optimizer

__all__ = ["load", "parse"]

LONGEST = 600
"""Characters of a message about a file, whatever the file has made of it."""


@overload
def load(path: str | os.PathLike[str], *, with_optimizer: Literal[False] = False) -> MLP: ...
@overload
def load(
    path: str | os.PathLike[str], *, with_optimizer: Literal[True]
) -> tuple[MLP, Optimizer]: ...
def load(path: str | os.PathLike[str], *, with_optimizer: bool = False) -> Any:
    """Load a network that `MLP.save` has saved.

    Parameters
    ----------
    path : str or path-like
        A safetensors or an npz file, whatever its name ends in.
    with_optimizer : bool
        Return the optimizer too, which goes on where it stopped.

    Returns
    -------
    net : MLP
        Its `forward` gives the same bits as that of the network that was saved, in the same
        backend on the same CPU, and its `generator` goes on in the same way.
    optimizer : Optimizer
        Only with ``with_optimizer=True``.

    Raises
    ------
    FormatError
        The file is damaged, no model, or of a later version of fastnn; a ValueError.
    ValueError
        There is no optimizer in the file, and `with_optimizer` is True.
    OSError
        The file is missing (FileNotFoundError), or may not be read.

    Notes
    -----
    A file is believed nothing: no code in it is run, and no more memory taken than in proportion to
    its size, whatever it says.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name) / "model.npz"
    >>> net, adam = fastnn.MLP([1, 1]), fastnn.optimizers.Adam()
    >>> history = net.fit([[0.0, 1.0]], [[0.0, 1.0]], epochs=10, optimizer=adam)
    >>> net.save(path, optimizer=adam)
    >>> net, adam = fastnn.load(path, with_optimizer=True)
    >>> adam.steps
    10
    >>> folder.cleanup()
    """
    with_optimizer = checks.boolean("with_optimizer", with_optimizer)
    path = os.fspath(path)
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # a device or a pipe may never end
            raise FormatError("it is no regular file")
        with open(path, "rb") as file:
            net, optimizer = parse(file)
    except FormatError as error:
        message = f"{checks.shown(path)}: {error}"
        raise FormatError(message[:LONGEST]) from error.__cause__
    if not with_optimizer:
        return net
    if optimizer is None:
        raise ValueError(
            f"{checks.shown(path)} has no optimizer: net.save(path, optimizer=...) saves one"
        )
    return net, optimizer


def parse(file: BinaryIO) -> tuple[MLP, Optimizer | None]:
    """Return the network, and the optimizer if there is one, that an open file holds.

    Raises
    ------
    FormatError
        It holds none; the message says what is wrong, without the file's name.

    Examples
    --------
    >>> import io
    >>> parse(io.BytesIO(b"garbage"))
    Traceback (most recent call last):
    fastnn.io.errors.FormatError: the file has 7 bytes: it is truncated, or no model
    """
    try:
        return document.restore(*formats.of_content(file).read(file))
    except FormatError:
        raise
    except (TypeError, ValueError) as error:  # what the checks of arguments say
        raise FormatError(str(error)) from error
