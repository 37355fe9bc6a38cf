"""Reads the convolutions of a quantised MobileNetV2 .tflite file, to start training from ImageNet weights.

A .tflite file is a FlatBuffer; the few tables needed here are walked by hand, so nothing has to be installed.
"""
from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import torch

from files import DataError
from network.mobilenet import Folded

CONV_2D, DEPTHWISE_CONV_2D = 3, 4  # BuiltinOperator values of the TensorFlow Lite schema
DTYPES = {0: np.float32, 2: np.int32, 3: np.uint8, 4: np.int64, 9: np.int8}


class Table:
    """A FlatBuffer table: fields are found through its vtable."""

    def __init__(self, data: bytes, position: int):
        self.data, self.position = data, position
        self.vtable = position - struct.unpack_from("<i", data, position)[0]

    def _field(self, index: int) -> int:
        size = struct.unpack_from("<H", self.data, self.vtable)[0]
        slot = 4 + 2 * index
        offset = struct.unpack_from("<H", self.data, self.vtable + slot)[0] if slot < size else 0
        return self.position + offset if offset else 0

    def scalar(self, index: int, code: str) -> int:
        at = self._field(index)
        return struct.unpack_from("<" + code, self.data, at)[0] if at else 0

    def table(self, index: int) -> "Table | None":
        at = self._field(index)
        return Table(self.data, at + struct.unpack_from("<I", self.data, at)[0]) if at else None

    def vector(self, index: int, dtype: type) -> np.ndarray:
        at = self._field(index)
        if not at:
            return np.empty(0, dtype)
        at += struct.unpack_from("<I", self.data, at)[0]
        return np.frombuffer(self.data, dtype, struct.unpack_from("<I", self.data, at)[0], at + 4)

    def tables(self, index: int) -> list["Table"]:
        at = self._field(index)
        if not at:
            return []
        at += struct.unpack_from("<I", self.data, at)[0]
        count = struct.unpack_from("<I", self.data, at)[0]
        slots = range(at + 4, at + 4 + 4 * count, 4)
        return [Table(self.data, s + struct.unpack_from("<I", self.data, s)[0]) for s in slots]


def _dequantise(tensor: Table, buffers: list[Table]) -> np.ndarray:
    """The tensor's real values; per-channel scales run along its quantised dimension."""
    quantisation = tensor.table(4)
    if quantisation is None or not quantisation.vector(2, np.float32).size:
        raise ValueError("the weights of the TensorFlow Lite file are not quantised")
    values = buffers[tensor.scalar(2, "I")].vector(0, np.uint8).tobytes()
    array = np.frombuffer(values, DTYPES[tensor.scalar(1, "b")]).reshape(tensor.vector(0, np.int32))
    scale, zero = quantisation.vector(2, np.float32), quantisation.vector(3, np.int64)
    shape = [1] * array.ndim
    shape[quantisation.scalar(6, "i") if scale.size > 1 else 0] = scale.size
    return (array.astype(np.float64) - zero.reshape(shape)) * scale.reshape(shape)


def read_convolutions(path: str) -> list[Folded]:
    """The network's convolutions for one gray channel in [0, 1], in order, without the classifier."""
    data = Path(path).read_bytes()
    if data[4:8] != b"TFL3":
        raise DataError(f"{path} is not a TensorFlow Lite file.")
    try:
        return _convolutions(data)
    except (struct.error, IndexError, ValueError):
        raise DataError(f"{path} is damaged, or of another network than MobileNetV2.") from None


def _convolutions(data: bytes) -> list[Folded]:
    model = Table(data, struct.unpack_from("<I", data, 0)[0])
    codes = [max(code.scalar(0, "b"), code.scalar(3, "i")) for code in model.tables(1)]
    graph, buffers = model.tables(2)[0], model.tables(4)
    tensors, result = graph.tables(0), []
    for operator in graph.tables(3):
        code = codes[operator.scalar(0, "I")]
        if code not in (CONV_2D, DEPTHWISE_CONV_2D):
            continue
        _, weight, bias = (tensors[i] for i in operator.vector(1, np.int32)[:3])
        order = (0, 3, 1, 2) if code == CONV_2D else (3, 0, 1, 2)
        result.append(Folded(torch.from_numpy(_dequantise(weight, buffers).transpose(order).copy()).float(),
                             torch.from_numpy(_dequantise(bias, buffers)).float()))
    return [_gray_stem(result[0])] + result[1:52]


def _gray_stem(stem: Folded) -> Folded:
    """The RGB stem for x / 127.5 - 1 rewritten for one gray channel of x / 255 (exact except at the padding)."""
    weight = stem.weight.sum(dim=1, keepdim=True)
    return Folded(2 * weight, stem.bias - weight.sum(dim=(1, 2, 3)))
