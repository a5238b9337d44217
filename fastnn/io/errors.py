"""The error of files that cannot be read."""

__all__ = ["FormatError"]


class FormatError(ValueError):
    """A file is damaged, hostile, newer than this fastnn, or no model at all.

    The message is one sentence with the file and what is wrong with it.

    Examples
    --------
    >>> raise fastnn.FormatError("'model.npz': 3 bytes follow the last tensor")
    Traceback (most recent call last):
    fastnn.io.errors.FormatError: 'model.npz': 3 bytes follow the last tensor
    """
