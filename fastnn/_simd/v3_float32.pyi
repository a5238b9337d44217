from fastnn._kernels import *
