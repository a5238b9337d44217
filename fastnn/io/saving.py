"""`MLP.save`: a network as a file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastnn.network import MLP
    from fastnn.optimizers import Optimizer

__all__ = ["save"]


def save(net: MLP, path: str | os.PathLike[str], *, optimizer: Optimizer | None = None) -> None:
    """Save the network in a file, from which `fastnn.load` makes it again.

    Parameters
    ----------
    path : str or path-like
        Ends in ".safetensors" (https://huggingface.co/docs/safetensors), which other tools and
        languages read too, or in ".npz", for ``numpy.load``.  The arrays are called as in
        `parameters`.
    optimizer : Optimizer, optional
        To save too, so that the training can go on: the object that was given to `fit`.

    Raises
    ------
    TypeError, ValueError
        `path` ends in something else, or there is something that a file cannot hold: a loss that
        is a function, an optimizer of your own, one that belongs to another network.  Nothing has
        been written then.
    OSError
        The folder is missing, the disk is full, ...; a file that was there is as it was.

    Notes
    -----
    Saved are the layers, loss, dropout, dtype and parameters, the `scaling`, and the state of the
    `generator`: what is random goes on as it would have gone on here.  Not saved are what is given
    to `fit`, schedules above all, and the class, if it is one of your own.

    The file takes the place of an older one in one step, after it has reached the disk.  Its bytes
    are the same on every platform.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name) / "model.safetensors"
    >>> net = fastnn.MLP([2, 3, 1])
    >>> net.save(path)
    >>> twin = fastnn.load(path)
    >>> bool((twin.parameter_vector == net.parameter_vector).all())
    True
    >>> folder.cleanup()
    """
    # Here: no program that saves nothing should wait for them.
    from fastnn.io import atomic, document, formats

    path = os.fspath(path)
    of_the_file = formats.of_name(path)
    tensors, text = document.compose(net, optimizer)
    with atomic.replacing(path) as file:
        of_the_file.write(file, tensors, text)
