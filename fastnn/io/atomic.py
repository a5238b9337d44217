"""A file that is written whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

__all__ = ["replacing"]


@contextmanager
def replacing(path: str) -> Iterator[BinaryIO]:
    """Open a file that takes the place of `path` when the block ends.

    What is written goes into a file of another name in the same folder, to the disk, and only then
    gets its name, in one step: whoever reads `path` meanwhile finds the old file or the new one.
    After an error, a full disk above all, the old file is as it was, and the other one is gone;
    after a kill that one may stay, as ``.fastnn-*.tmp``.  Of two writers the last one stays.  A
    symbolic link stays one; the permissions of the old file stay too.

    Raises
    ------
    OSError
        The folder is missing, the disk full, ...

    Examples
    --------
    >>> import os, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> with replacing(os.path.join(folder.name, "numbers")) as file:
    ...     _ = file.write(b"123")
    >>> os.listdir(folder.name)
    ['numbers']
    >>> folder.cleanup()
    """
    path = os.path.realpath(path)
    folder = os.path.dirname(path)
    temporary = os.path.join(folder, f".fastnn-{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            os.chmod(temporary, stat.S_IMODE(os.stat(path).st_mode))
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.remove(temporary)
        raise
    _sync_folder(folder)


def _sync_folder(folder: str) -> None:
    """Bring the new name to the disk, where the system can; the file itself is there already."""
    if os.name != "posix":
        return
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
