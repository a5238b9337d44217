"""The rooms behind ``_kernels_numba.py``, each built on those before it::

compiling.py    how functions are compiled, and when
tile.py         the register tile, and what else plain loops cannot say
vector_math.py  exp, log, sigmoid, tanh of one number
special.py      gelu, elu, softplus, silu of one number, with their derivatives
activations.py  the table of activations
losses.py       the table of losses
updates.py      the table of optimizers, penalty and clipping
random.py       the order of the examples, and the masks of dropout
blocks.py       blocks of examples, packed from arrays of any strides
layers.py       dense layers on blocks, forward and back
engine.py       whole networks on one block, and the update
entries.py      what Python calls: all blocks of a call, epochs
"""
