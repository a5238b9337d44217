"""Every check of an argument, and every error sentence, in one place.

A check returns the argument in the form that the kernels want, or raises before
anything has changed.  The functional API behaves like a ufunc of NumPy (`floats`,
`output`); the methods of a network refuse what scikit-learn's would (`examples`,
`targets`).  Arrays that are plain already pass through untouched and uncopied.

| room | what is checked there |
|---|---|
| `numbers` | integers, floats, shares, switches, seeds, dtypes |
| `names` | rows of the tables, their parameters, keyword arguments |
| `arrays` | arrays of any kind, and `out` |
| `layers` | the arrays of one layer |
| `network` | sizes, parameters, dropout, an optimizer's state |
| `examples`, `probabilities` | X, Y, and what goes with them |
| `blocks` | the same, some columns at a time |
| `scaling` | what `standardize` divides by |
| `training` | what else `fit` is asked for |
| `sentences` | what several errors say |
"""

from fastnn.checks.arrays import apart, cost_and_derivative, floats, may_overlap, output
from fastnn.checks.blocks import Columns
from fastnn.checks.examples import (
    batch_size,
    class_labels,
    examples,
    examples_and_targets,
    matrix_of_outputs,
    sample_weights,
    targets,
)
from fastnn.checks.layers import (
    cost_arrays,
    dense_backward_shapes,
    dense_forward_shapes,
    derivative_from_output,
    derivative_of_elements,
    same_shape,
)
from fastnn.checks.names import (
    Parameter,
    choice,
    name_and_parameter,
    parameter_in,
    row_and_parameter,
    unexpected_keyword,
    unknown,
)
from fastnn.checks.network import (
    dropout,
    known_parameter,
    layer_sizes,
    optimizer_state,
    outputs,
    parameter,
    parameter_count,
    parameters,
    pickled_state,
)
from fastnn.checks.numbers import (
    FLOAT32,
    FLOAT64,
    boolean,
    epochs,
    float_dtype,
    fraction,
    generator,
    integer,
    learning_rate,
    number,
    number_in,
    positive_share,
    representable,
    share,
)
from fastnn.checks.scaling import mean_and_scale, overflow_when_folded, scale
from fastnn.checks.sentences import diverged, kind, shown, warn, warn_if_stuck
from fastnn.checks.training import (
    callbacks,
    class_weights,
    classes_of,
    metric_value,
    several,
    validation_data,
    validation_fraction,
)

__all__ = [
    "Columns",
    "FLOAT32",
    "FLOAT64",
    "Parameter",
    "apart",
    "batch_size",
    "boolean",
    "callbacks",
    "choice",
    "class_labels",
    "class_weights",
    "classes_of",
    "cost_and_derivative",
    "cost_arrays",
    "dense_backward_shapes",
    "dense_forward_shapes",
    "derivative_from_output",
    "derivative_of_elements",
    "diverged",
    "dropout",
    "epochs",
    "examples",
    "examples_and_targets",
    "float_dtype",
    "floats",
    "fraction",
    "generator",
    "integer",
    "kind",
    "known_parameter",
    "layer_sizes",
    "learning_rate",
    "matrix_of_outputs",
    "may_overlap",
    "mean_and_scale",
    "metric_value",
    "name_and_parameter",
    "number",
    "number_in",
    "optimizer_state",
    "output",
    "outputs",
    "overflow_when_folded",
    "parameter",
    "parameter_count",
    "parameter_in",
    "parameters",
    "pickled_state",
    "positive_share",
    "representable",
    "row_and_parameter",
    "same_shape",
    "sample_weights",
    "scale",
    "several",
    "share",
    "shown",
    "targets",
    "unexpected_keyword",
    "unknown",
    "validation_data",
    "validation_fraction",
    "warn",
    "warn_if_stuck",
]
