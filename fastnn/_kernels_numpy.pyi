from fastnn._kernels import *
from fastnn._kernels import Network as Network

__all__: list[str]
