"""PyTorch on the CPU, eager.

Forward in ``inference_mode``, with functions rather than modules (half the time for one
sample, and no slower than a traced and frozen module); training with the fused SGD or Adam, the
fastest of their three forms; the examples gathered once an epoch by ``randperm`` and cut by
``split``, not by a DataLoader.  Not timed: ``torch.compile``, which needs a C++ compiler at
run time.
"""

from itertools import repeat

import numpy as np
import torch
from torch.nn import functional as F

from bench.cases import NETWORK_KINDS, RULES
from bench.contenders import VERIFIED_STEPS, epoch_order
from bench.work import LEARNING_RATE

__all__ = ["Contender"]

ACTIVATIONS = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "softmax": lambda Z: torch.softmax(Z, dim=1),
    "linear": lambda Z: Z,
    "gelu": F.gelu,
}

LOSSES = {
    "mse": lambda Z, Y: F.mse_loss(Z, Y, reduction="sum") / (2 * len(Y)),
    "binary_cross_entropy": F.binary_cross_entropy_with_logits,
    "cross_entropy": F.cross_entropy,
}
"""From the output before its activation, where PyTorch is fastest and most accurate."""


class Contender:
    """PyTorch with a number of threads."""

    name = "PyTorch"
    versions = {"PyTorch": torch.__version__}

    def __init__(self, threads=1):
        self.threads = threads
        torch.set_num_threads(threads)

    def prepare(self, work):
        case = work.case
        if case.rule not in ("plain", "adam") or case.kind not in NETWORK_KINDS:
            return None
        return _Forward(work) if case.kind == "forward" else _Training(work)


def _tensors(work):
    """[W1, b1, ...] as new tensors: a Linear layer has its weights as fastnn has them."""
    parameters = work.copy_parameters()
    return [torch.from_numpy(array).squeeze_(1) if name[0] == "b" else torch.from_numpy(array)
            for name, array in parameters.items()]  # fmt: skip


def _logits(X, tensors, activations):
    """The output before its activation."""
    for l, g in enumerate(activations):
        X = F.linear(X, tensors[2 * l], tensors[2 * l + 1])
        if l < len(activations) - 1:
            X = ACTIVATIONS[g](X)
    return X


class _Forward:
    def __init__(self, work):
        self.X = torch.from_numpy(work.rows()[0])
        self.tensors = _tensors(work)
        self.activations = work.case.activations

    def results(self):
        with torch.inference_mode():
            return {"A": self._forward().numpy().T}

    def reset(self):
        pass

    def run(self, n):
        with torch.inference_mode():
            for _ in repeat(None, n):
                self._forward()

    def _forward(self):
        Z = _logits(self.X, self.tensors, self.activations)
        return ACTIVATIONS[self.activations[-1]](Z)


class _Training:
    def __init__(self, work):
        self.work, self.case = work, work.case
        X, Y = work.rows()
        self.X, self.Y = torch.from_numpy(X), torch.from_numpy(Y)
        if self.case.loss == "cross_entropy":
            self.Y = self.Y.argmax(dim=1)
        self.loss = LOSSES[self.case.loss]

    def results(self):
        self.reset()
        if self.case.batch_size:
            self._epoch(torch.from_numpy(epoch_order(self.case.m).astype(np.int64)))
        else:
            self.run(VERIFIED_STEPS)
        return {
            name: tensor.detach().numpy().reshape(array.shape)
            for (name, array), tensor in zip(
                self.work.parameters.items(), self.tensors, strict=True
            )
        }

    def reset(self):
        self.tensors = [tensor.requires_grad_() for tensor in _tensors(self.work)]
        if self.case.rule == "adam":
            rate = RULES["adam"]["learning_rate"]
            self.optimizer = torch.optim.Adam(self.tensors, lr=rate, fused=True)
        else:
            self.optimizer = torch.optim.SGD(self.tensors, lr=LEARNING_RATE, fused=True)

    def run(self, n):
        for _ in repeat(None, n):
            if self.case.batch_size:
                self._epoch(torch.randperm(self.case.m))
            else:
                self._step(self.X, self.Y)

    def _epoch(self, order):
        b = self.case.batch_size
        for X, Y in zip(self.X[order].split(b), self.Y[order].split(b), strict=True):
            self._step(X, Y)

    def _step(self, X, Y):
        self.optimizer.zero_grad(set_to_none=True)
        self.loss(_logits(X, self.tensors, self.case.activations), Y).backward()
        self.optimizer.step()
