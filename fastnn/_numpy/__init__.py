"""The rooms behind ``_kernels_numpy.py``, each built on those before it::

tables.py       what the tables of formulas have in common
special.py      gelu, elu, softplus, silu, with their derivatives
activations.py  the table of activations
losses.py       the table of losses
updates.py      the table of optimizers, and clipping
random.py       the order of the examples, and the masks of dropout
blocks.py       blocks of examples, and the batches of an epoch
inputs.py       the looks at what the user gave
"""
