"""MLPClassifier and MLPRegressor: scikit-learn's, trained by fastnn (the extra ``sklearn``).

The parameters, defaults, attributes, methods, warnings and errors are those of
`sklearn.neural_network` 1.9; what is beyond it are further keyword parameters whose defaults
change nothing.  **One row is one example** here, as everywhere in scikit-learn.

The same data, seed and settings give the same loss curve, to rounding: the generator is asked
for the same numbers in the same order, and the losses, penalties and steps are the same.

| room | what it does |
|---|---|
| `classifier`, `regressor` | the two estimators: targets, answers |
| `base` | `fit`, `partial_fit`, the network underneath |
| `constraints` | what the parameters may be |
| `arguments` | what X, y and the weights of the examples may be |
| `epochs` | the loop over the epochs, and what ends it |
| `batches` | the examples of one call of the kernels |
| `solvers` | the steps of Adam and of momentum as scikit-learn takes them |
| `accounts` | its losses, from the kernels' |
| `restoring` | the way back after an error |
| `minimization` | L-BFGS by SciPy |
"""

from fastnn import _hints

try:
    import sklearn  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"fastnn.estimators needs scikit-learn, which does not load ({error}); "
        f"{_hints.install('sklearn')} brings it"
    ) from error

from fastnn.estimators.classifier import MLPClassifier
from fastnn.estimators.constraints import InvalidParameterError
from fastnn.estimators.regressor import MLPRegressor

__all__ = ["InvalidParameterError", "MLPClassifier", "MLPRegressor"]
