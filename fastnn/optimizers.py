"""The table of optimizers: how the flat vector of parameters w follows its gradient dw.

There is one row so far.  A row says how many vectors like w the optimizer keeps from
step to step (`state`), and which hyper-parameters it has.
"""

from typing import NamedTuple

from fastnn import checks

__all__ = ["OPTIMIZERS", "Optimizer", "hyper_parameters"]


class Optimizer(NamedTuple):
    """One row of the table."""

    name: str
    formula: str
    state: int
    checks: dict
    """Hyper-parameter -> the check that returns it as a float or raises."""
    use: str


OPTIMIZERS = {
    row.name: row
    for row in (
        Optimizer(
            "gradient_descent", "w <- w - learning_rate dw", 0,
            {"learning_rate": checks.number},
            "full batches, and mini-batches that are large enough",
        ),
    )
}  # fmt: skip


def hyper_parameters(optimizer, **values):
    """Return the hyper-parameters of an optimizer, each checked and as a float.

    Parameters
    ----------
    optimizer : str
        A name of the table.
    **values
        All the hyper-parameters of its row, by name.

    Raises
    ------
    TypeError, ValueError
        A value is not a number of the right range.

    Examples
    --------
    >>> from fastnn.optimizers import hyper_parameters
    >>> hyper_parameters("gradient_descent", learning_rate=1)
    {'learning_rate': 1.0}
    """
    row = OPTIMIZERS[optimizer]
    return {name: check(name, values[name]) for name, check in row.checks.items()}
