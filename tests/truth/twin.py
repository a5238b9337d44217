"""A network of fastnn's once more in PyTorch: the same numbers, and autograd for the rest.

Nothing here knows how fastnn goes back: a cost is written down forwards, in PyTorch's own
functions, and PyTorch differentiates it.
"""

import itertools

import numpy as np
import torch
from torch.nn import functional as F

torch.set_num_threads(1)  # small work: a second thread only waits

ACTIVATIONS = {
    "linear": lambda Z, alpha: Z,
    "sigmoid": lambda Z, alpha: torch.sigmoid(Z),
    "tanh": lambda Z, alpha: torch.tanh(Z),
    "relu": lambda Z, alpha: torch.relu(Z),
    "leaky_relu": lambda Z, alpha: F.leaky_relu(Z, alpha),
    "softmax": lambda Z, alpha: torch.softmax(Z, dim=0),
    "gelu": lambda Z, alpha: F.gelu(Z),
    "elu": lambda Z, alpha: F.elu(Z, alpha),
    "softplus": lambda Z, alpha: F.softplus(Z, threshold=700),  # else z itself above 20
    "silu": lambda Z, alpha: F.silu(Z),
    "gelu_tanh": lambda Z, alpha: F.gelu(Z, approximate="tanh"),
    "exponential": lambda Z, alpha: torch.exp(Z),
}
"""g(Z), a column for each example."""

LOSSES = {
    "mse": lambda Z, A, Y, alpha: F.mse_loss(A, Y, reduction="none") / 2,  # fastnn's half
    "binary_cross_entropy": lambda Z, A, Y, alpha: F.binary_cross_entropy_with_logits(
        Z, Y, reduction="none"
    ),
    "cross_entropy": lambda Z, A, Y, alpha: F.cross_entropy(Z.T, Y.T, reduction="none")[None],
    "huber": lambda Z, A, Y, alpha: F.huber_loss(A, Y, reduction="none", delta=alpha),
    "mae": lambda Z, A, Y, alpha: F.l1_loss(A, Y, reduction="none"),
    "poisson": lambda Z, A, Y, alpha: F.poisson_nll_loss(
        A, Y, log_input=False, eps=0, reduction="none"
    ),
}
"""The loss of each output and example, which fastnn sums over the outputs."""


class Twin:
    """The network `net` in PyTorch, in float64 even where `net` is not.

    X, Y and masks are NumPy's, of either dtype; columns are examples.
    """

    def __init__(self, net):
        self.activations = [_name_and_parameter(g) for g in net.activations]
        self.loss = _name_and_parameter(net.loss)
        arrays = [double(p).requires_grad_() for p in net.parameters.values()]
        self.weights, self.biases = arrays[::2], arrays[1::2]
        self.parameters = arrays

    def outputs(self, X, masks=()):
        """Z and A of the last layer; masks: a factor for the outputs of each hidden layer."""
        A = X if isinstance(X, torch.Tensor) else double(X)
        for W, b, (g, alpha), mask in itertools.zip_longest(
            self.weights, self.biases, self.activations, masks
        ):
            Z = W @ A + b
            A = ACTIVATIONS[g](Z, alpha)
            A = A if mask is None else A * double(mask)
        return Z, A

    def cost(self, X, Y, sample_weight=None, l2=0.0, masks=()):
        """The weighted mean over the examples, and the penalty of the weights."""
        loss, alpha = self.loss
        Z, A = self.outputs(X, masks)
        of_examples = LOSSES[loss](Z, A, double(Y), alpha).sum(dim=0)
        shares = torch.ones(len(of_examples), dtype=torch.float64)
        if sample_weight is not None:
            shares = double(sample_weight)
        J = (shares * of_examples).sum() / shares.sum()
        return J + self.penalty(l2) if l2 else J

    def penalty(self, l2):
        """What the weights, and not the biases, add to the cost."""
        return l2 / 2 * sum((W**2).sum() for W in self.weights)

    def step(self, optimizer, X, Y, clip_norm=None, **options):
        """One step of one of PyTorch's optimizers; return the cost before it."""
        optimizer.zero_grad()
        J = self.cost(X, Y, **options)
        J.backward()
        if clip_norm is not None:
            clip(self.parameters, clip_norm)
        optimizer.step()
        return J.item()

    def groups(self, decay):
        """The parameters for an optimizer: `decay` is its weight_decay, of the weights alone."""
        return [
            {"params": self.weights, "weight_decay": decay},
            {"params": self.biases, "weight_decay": 0.0},
        ]

    def vector(self, tensors=None):
        """The parameters, or what belongs to each of them, as fastnn's flat vector."""
        tensors = self.parameters if tensors is None else tensors
        return torch.cat([tensor.detach().reshape(-1) for tensor in tensors]).numpy()

    def gradient(self):
        """What `backward` left, as a flat vector."""
        return self.vector([tensor.grad for tensor in self.parameters])


def clip(parameters, longest):
    """PyTorch's clipping by the global norm, without the 1e-6 that it adds to the norm."""
    norm = torch.nn.utils.get_total_norm([tensor.grad for tensor in parameters]).item()
    torch.nn.utils.clip_grad_norm_(parameters, longest * (norm + 1e-6) / norm)


def double(array):
    """A tensor of its own, which no later step of fastnn's writes to."""
    return torch.from_numpy(np.array(array, np.float64))


def _name_and_parameter(row):
    return (row, 0.0) if isinstance(row, str) else row
