"""Progress: what is shown while a training goes on.

A bar of tqdm or of rich where one of them is installed (the extra ``progress`` brings tqdm),
else one plain line on the standard error stream.
"""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fastnn import checks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Report = Callable[[int, float], object]

__all__ = ["Bar", "Line", "RichBar", "reporter", "reporting"]


@contextmanager
def reporting(progress: Any, epochs: int) -> Iterator[Report | None]:
    """Yield the function to call with (epoch, cost), or None; what it shows ends with the block.

    Parameters
    ----------
    progress : None, bool or function
        As for `MLP.fit`.
    epochs : int

    Raises
    ------
    TypeError
        `progress` is none of these.

    Examples
    --------
    >>> with reporting(print, 3) as report:
    ...     report(1, 0.5)
    1 0.5
    """
    report = reporter(progress, epochs)
    try:
        yield report
    finally:
        close = getattr(report, "close", None) if progress is True else None
        if close:
            close()


def reporter(progress: Any, epochs: int) -> Report | None:
    """Return the function to call with (epoch, cost), or None where nothing is asked for."""
    if progress is None or progress is False:
        return None
    if progress is True:
        for kind in (Bar, RichBar):
            try:
                return kind(epochs)
            except ImportError:
                continue
        return Line(epochs)
    if not callable(progress):
        raise TypeError(
            f"progress must be None, True, False or a function, got {checks.shown(progress)}"
        )
    report: Report = progress
    return report


class Bar:
    """A bar of tqdm."""

    FORMAT = "epoch {n_fmt}/{total_fmt}{postfix}  |{bar}| {elapsed} < {remaining}"

    def __init__(self, epochs: int) -> None:
        from tqdm.auto import tqdm

        self.bar = tqdm(total=epochs, bar_format=self.FORMAT, file=sys.stderr)

    def __call__(self, epoch: int, cost: float) -> None:
        self.bar.set_postfix_str(f"cost {cost:.6g}", refresh=False)
        self.bar.update(epoch - self.bar.n)

    def close(self) -> None:
        """Leave the bar as it is."""
        self.bar.refresh()
        self.bar.close()


class RichBar:
    """A bar of rich."""

    def __init__(self, epochs: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("epoch {task.completed}/{task.total}  cost {task.fields[cost]}"),
            BarColumn(),
            TimeRemainingColumn(),
        )
        self.bar = Progress(*columns, console=Console(stderr=True))
        self.task = self.bar.add_task("", total=epochs, cost="")
        self.bar.start()

    def __call__(self, epoch: int, cost: float) -> None:
        self.bar.update(self.task, completed=epoch, cost=f"{cost:.6g}")

    def close(self) -> None:
        """Leave the bar as it is."""
        self.bar.stop()


class Line:
    """One line on the standard error stream that is written again and again."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self.started = time.perf_counter()
        self.is_open = False

    def __call__(self, epoch: int, cost: float) -> None:
        seconds = time.perf_counter() - self.started
        line = f"epoch {epoch}/{self.epochs}  cost {cost:<12.6g} {seconds:.1f} s"
        print(f"\r{line}", end="", file=sys.stderr, flush=True)
        self.is_open = True

    def close(self) -> None:
        """End the line."""
        if self.is_open:
            print(file=sys.stderr, flush=True)
