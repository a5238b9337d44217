"""The way back of an estimator whose training ends in an error."""

from __future__ import annotations

from typing import Any

__all__ = ["Before"]


class Before:
    """What an estimator is before a call of `fit`.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    """

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator
        self.attributes = dict(vars(estimator))
        self.lists = {
            name: list(value)
            for name in ("loss_curve_", "validation_scores_")
            if (value := self.attributes.get(name)) is not None
        }
        self.arrays = [
            (array, array.copy())
            for name in ("coefs_", "intercepts_")
            for array in self.attributes.get(name, ())
        ]
        self.solver = self.attributes.get("_optimizer")
        if self.solver is not None:
            optimizer = self.solver.optimizer
            self.learning_rate = self.solver.learning_rate
            self.checkpoint = optimizer.checkpoint()
            vectors = self.checkpoint.vectors
            self.vectors = None if vectors is None else vectors.copy()

    def restore(self) -> None:
        """Make the estimator what it was."""
        attributes = vars(self.estimator)
        attributes.clear()
        attributes.update(self.attributes)
        for name, values in self.lists.items():
            attributes[name][:] = values
        for array, values in self.arrays:
            if array.flags.writeable:  # a memory map that was loaded is not
                array[...] = values
        if self.solver is not None:
            self.solver.learning_rate = self.learning_rate
            self.solver.optimizer.roll_back(self.checkpoint)
            if self.vectors is not None:
                self.checkpoint.vectors[...] = self.vectors
