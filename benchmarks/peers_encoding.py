"""DenseNet-121 by others, on the same weights: every method is made once, and then called with images in memory."""

from __future__ import annotations

import sys
import time
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphret.encoders import Encoder
    from graphret.encoders.networks.network import EncoderNetwork

    Method = Callable[[np.ndarray], np.ndarray]

EAGER, OURS, OURS_BFLOAT16 = "torch eager", "graphret", "graphret, bfloat16"


class _Features(torch.nn.Module):
    """The codes as the output of a call."""

    def __init__(self, network: EncoderNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network.features(images)


def _torch_method(network: EncoderNetwork, batch: int, memory_format: torch.memory_format) -> Method:
    network = network.to(memory_format=memory_format)

    def encode(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            grey = torch.from_numpy(images)[:, None]
            parts = [network.features(part.contiguous(memory_format=memory_format)) for part in grey.split(batch)]
            return torch.cat(parts).numpy()

    return encode


def _openvino_method(network: EncoderNetwork, batch: int, size: int, threads: int) -> Method:
    # Its converter reports each use to its maker if the package for that can be imported: let it not be.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    example = torch.zeros(batch, 1, size, size)
    model = openvino.convert_model(_Features(network), example_input=example, input=[batch, 1, size, size])
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    compiled = openvino.compile_model(model, "CPU", options)

    def encode(images: np.ndarray) -> np.ndarray:
        parts = []
        for start in range(0, len(images), batch):
            part = images[start : start + batch, None]
            missing = batch - len(part)  # the model has one batch size
            filled = np.concatenate([part, np.zeros((missing, *part.shape[1:]), np.float32)]) if missing else part
            parts.append(compiled(filled)[0][: len(part)].copy())
        return np.concatenate(parts)

    return encode


def _onnxruntime_method(network: EncoderNetwork, batch: int, size: int, threads: int) -> Method:
    import io

    import onnxruntime

    stream = io.BytesIO()
    example = torch.zeros(batch, 1, size, size)
    axes = {"images": {0: "b"}, "codes": {0: "b"}}
    torch.onnx.export(
        _Features(network), (example,), stream, input_names=["images"], output_names=["codes"], dynamic_axes=axes, dynamo=False
    )  # fmt: skip
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(stream.getvalue(), options, providers=["CPUExecutionProvider"])

    def encode(images: np.ndarray) -> np.ndarray:
        starts = range(0, len(images), batch)
        return np.concatenate([session.run(None, {"images": images[s : s + batch, None]})[0] for s in starts])

    return encode


def methods_of(encoder: Encoder, batch: int, threads: int) -> tuple[dict[str, Method], dict[str, Any], dict[str, str]]:
    """Make every method; return them, the seconds that making took, and why others are left out."""
    network = encoder.config.create().eval().requires_grad_(False)
    network.load_state_dict(encoder.tensors())
    makers: dict[str, Callable[[], Method]] = {
        EAGER: lambda: _torch_method(deepcopy(network), batch, torch.contiguous_format),
        "torch channels_last": lambda: _torch_method(deepcopy(network), batch, torch.channels_last),
        OURS: lambda: lambda images: encoder.encode(images, batch_size=batch),
        OURS_BFLOAT16: lambda: lambda images: encoder.encode(images, batch_size=batch, precision="bfloat16"),
        "OpenVINO": lambda: _openvino_method(deepcopy(network), batch, encoder.size, threads),
        "ONNX Runtime": lambda: _onnxruntime_method(deepcopy(network), batch, encoder.size, threads),
    }
    methods, making, left_out = {}, {}, {}
    for name, make in makers.items():
        start = time.perf_counter()
        try:
            methods[name] = make()
            methods[name](np.zeros((1, encoder.size, encoder.size), np.float32))
        except Exception as error:
            if name in {EAGER, OURS}:
                raise
            methods.pop(name, None)
            left_out[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        else:
            making[name] = time.perf_counter() - start
    return methods, making, left_out
