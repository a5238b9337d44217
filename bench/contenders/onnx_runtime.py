"""ONNX Runtime: a prepared session with all graph optimisations; it does not train.

The input is bound beforehand where that is faster than passing it with each call.
"""

from itertools import repeat

import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

from bench.timing import fastest

__all__ = ["Contender", "model"]

OPERATORS = {"tanh": "Tanh", "relu": "Relu", "sigmoid": "Sigmoid", "softmax": "Softmax"}


class Contender:
    """ONNX Runtime with a number of threads."""

    name = "ONNX Runtime"
    versions = {"ONNX Runtime": ort.__version__}

    def __init__(self, threads=1):
        self.threads = threads

    def prepare(self, work):
        return _Forward(work, self.threads) if work.case.kind == "forward" else None


class _Forward:
    def __init__(self, work, threads):
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.session = ort.InferenceSession(
            model(work).SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self.X = work.rows()[0]
        self.binding = self.session.io_binding()
        self.binding.bind_cpu_input("X", self.X)
        self.binding.bind_output("A")
        self.forward = fastest(
            [
                lambda: self.session.run(None, {"X": self.X}),
                lambda: self.session.run_with_iobinding(self.binding),
            ]
        )

    def results(self):
        return {"A": self.session.run(None, {"X": self.X})[0].T}

    def reset(self):
        pass

    def run(self, n):
        for _ in repeat(None, n):
            self.forward()


def model(work):
    """The network as a graph of Gemm and activation nodes, a row per example."""
    element = helper.np_dtype_to_tensor_dtype(work.dtype)
    nodes, weights, value = [], [], "X"
    for l, g in enumerate(work.case.activations, start=1):
        weights.append(numpy_helper.from_array(work.parameters[f"W{l}"], f"W{l}"))
        weights.append(numpy_helper.from_array(work.parameters[f"b{l}"][:, 0].copy(), f"b{l}"))
        nodes.append(helper.make_node("Gemm", [value, f"W{l}", f"b{l}"], [f"Z{l}"], transB=1))
        value = f"Z{l}"
        if g != "linear":
            nodes.append(helper.make_node(OPERATORS[g], [value], [f"A{l}"]))
            value = f"A{l}"
    nodes[-1].output[0] = "A"
    sizes = work.case.layer_sizes
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("X", element, ["m", sizes[0]])],
        [helper.make_tensor_value_info("A", element, ["m", sizes[-1]])],
        weights,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8  # old enough for any runtime
    onnx.checker.check_model(made)
    return made
