"""The rooms behind ``_kernels_numba.py``, each built on those before it::

compiling.py    how functions are compiled, and when
tile.py         the register tile, and what else plain loops cannot say
vector_math.py  exp, log, sigmoid, tanh, gelu of one number
activations.py  the table of activations, and softmax
losses.py       the table of losses, and dZ at the output
updates.py      the table of optimizers, penalty and clipping
random.py       the order of the examples, and the masks of dropout
panels.py       arrays of any strides, and the panels that they are packed into
gemm.py         the order of the tiles of a matrix product
layers.py       dense layers on panels, forward and back
engine.py       whole networks: blocks, mini-batches, epochs
"""
