"""OpenVINO: the network compiled for one call after the other; float32 alone, it does not train."""

from itertools import repeat

import openvino

from bench.contenders.onnx_runtime import model

__all__ = ["Contender"]


class Contender:
    """OpenVINO with a number of threads."""

    name = "OpenVINO"
    versions = {"OpenVINO": openvino.__version__.split("-")[0]}

    def __init__(self, threads=1):
        self.threads = threads

    def prepare(self, work):
        if work.case.kind != "forward" or work.dtype != "float32":
            return None
        return _Forward(work, self.threads)


class _Forward:
    def __init__(self, work, threads):
        core = openvino.Core()
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",  # where the CPU has bfloat16, it would take that
        }
        graph = core.read_model(model(work).SerializeToString())
        graph.reshape([work.case.m, work.case.layer_sizes[0]])
        self.request = core.compile_model(graph, "CPU", options).create_infer_request()
        self.X = work.rows()[0]
        self.request.set_input_tensor(openvino.Tensor(self.X, shared_memory=True))

    def results(self):
        self.request.infer()
        return {"A": self.request.get_output_tensor().data.T.copy()}

    def reset(self):
        pass

    def run(self, n):
        infer = self.request.infer
        for _ in repeat(None, n):
            infer()
