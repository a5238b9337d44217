"""The table of cases of ``bench.estimators``: nothing but plain values, as in cases.py."""

from typing import NamedTuple

__all__ = ["CASES", "DATA", "GRID", "SETTINGS", "Case"]

DATA = {
    "digits": "classifier",
    "breast_cancer": "classifier",
    "wine": "classifier",
    "diabetes": "regressor",
    "20,000 x 50": "classifier",
    "50,000 x 6": "regressor",
}
"""What is learned, by which of the two estimators; the last two are made."""

SETTINGS = {
    "default": {},
    "float32": {},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.05},
    "early_stopping": {"early_stopping": True},
    "lbfgs": {"solver": "lbfgs"},
}
"""What the estimators are told; "float32" is the dtype of X, which is float64 in the others."""

GRID = {
    "hidden_layer_sizes": [(50,), (100,), (50, 50)],
    "alpha": [1e-5, 1e-4, 1e-3, 1e-2],
    "learning_rate_init": [1e-3, 1e-2],
}
"""24 settings."""

FEW = 20
"""Epochs, or iterations of lbfgs, on the large data."""


class Case(NamedTuple):
    """One piece of work.

    `kind` is ``"fit"``, ``"predict"`` (of `rows` rows) or ``"search"`` (GridSearchCV over `GRID`
    in two processes).
    """

    kind: str
    data: str
    settings: str = "default"
    rows: int = 0
    max_iter: int = 200

    @property
    def name(self):
        of_rows = f" {self.rows:,} row{'s' * (self.rows > 1)}" * (self.kind == "predict")
        few = f" max_iter={self.max_iter}" * (self.kind == "fit" and self.max_iter != 200)
        return f"{self.kind} {self.data} {self.settings}{of_rows}{few}"

    @property
    def arguments(self):
        """Of both estimators."""
        return {"random_state": 0, "max_iter": self.max_iter, **SETTINGS[self.settings]}

    @property
    def is_large(self):
        """Too long for ``--quick``."""
        return self.data[0].isdigit() or self.kind == "search"


CASES = (
    *(
        Case("fit", data, settings, max_iter=FEW if data[0].isdigit() else 200)
        for settings in SETTINGS
        for data in DATA
    ),
    *(
        Case("predict", data, settings, rows, max_iter=FEW)
        for settings in ("default", "float32")
        for data in ("digits", "diabetes")
        for rows in (1, 10_000)
    ),
    Case("search", "breast_cancer"),
)
