"""Writes and reads the .cxrm model file, which src/README.md describes. Also reads version 1, which had no maps."""
from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import Union

import numpy as np
import torch

from files import DataError
from integer.reference import POINTWISE, TOP, Convolution, IntegerNet, MapHead, Tensor
from network.mobilenet import Folded, Net

VERSION, ALIGNMENT, HEADER, HEAD, MAP = 2, 64, 64, 4, 5
NONE = 0xFFFFFFFF
Meta = dict[str, Union[str, np.ndarray]]


class _Data:
    """The DATA section under construction: arrays, each aligned."""

    def __init__(self) -> None:
        self.bytes = bytearray()

    def add(self, array: np.ndarray) -> int:
        self.bytes += bytes(-len(self.bytes) % ALIGNMENT)
        offset = len(self.bytes)
        self.bytes += np.ascontiguousarray(array).tobytes()
        return offset


def _weights_to_file(conv: Convolution) -> np.ndarray:
    """[outputs, inputs, k, k] in the layout of the opcode."""
    w = conv.weight
    if conv.opcode == POINTWISE:  # [N/8][K/4][8 outputs][4 inputs]
        n, k = w.shape[:2]
        return w.reshape(n // 8, 8, k // 4, 4).transpose(0, 2, 1, 3)
    return w.reshape(len(w), -1).T  # [kernel * kernel][channels]


def _weights_from_file(flat: np.ndarray, opcode: int, kernel: int, inputs: int, outputs: int) -> np.ndarray:
    if opcode == POINTWISE:
        return flat.reshape(outputs // 8, inputs // 4, 8, 4).transpose(0, 2, 1, 3).reshape(outputs, inputs, 1, 1)
    return flat.reshape(kernel * kernel, outputs).T.reshape(outputs, 1, kernel, kernel)


def _meta_bytes(meta: Meta) -> bytes:
    result = bytearray()
    for key, value in meta.items():
        name = key.encode()
        if isinstance(value, str):
            kind, body = 1, value.encode()
            count, body = len(body), body + b"\0"
        else:
            kind = 2 if value.dtype == np.float32 else 3
            count, body = value.size, value.tobytes()
        result += struct.pack("<III", kind, len(name), count)
        for part in (name, body):
            result += part + bytes(-len(part) % 4)
    return bytes(result)


def write(net: IntegerNet, meta: Meta) -> bytes:
    """The whole file."""
    data, ops = _Data(), bytearray()
    for conv in net.convolutions:
        weights, bias, multipliers = (data.add(_weights_to_file(conv)), data.add(conv.bias.astype("<i4")),
                                      data.add(conv.multiplier.astype("<f4")))
        residual = conv.residual if conv.residual >= 0 else NONE
        ops += struct.pack("<16I", conv.opcode, conv.input, conv.output, residual, conv.kernel, conv.stride,
                           conv.pad, conv.pad, 0, TOP, 0, 0, weights, bias, multipliers, 0)
    channels, outputs = net.head_weight.shape
    weight, bias = np.zeros((channels, 8), "<f4"), np.zeros(8, "<f4")
    weight[:, :outputs], bias[:outputs] = net.head_weight, net.head_bias
    ops += struct.pack("<16I", HEAD, net.features, net.features, NONE, 0, 1, 0, 0, 0, TOP, 0, 0, data.add(weight),
                       data.add(bias), 0, 0)
    for which, head in enumerate(net.maps):
        with_coarse = head.coarse >= 0
        ops += struct.pack("<16I", MAP, head.fine, head.coarse if with_coarse else NONE, NONE, which, 1, 0, 0, 0, TOP, 0, 0,
                           data.add(head.fine_weight.astype("<f4")), data.add(np.array([head.bias], "<f4")),
                           data.add(head.coarse_weight.astype("<f4")) if with_coarse else 0, 0)
    tensors = b"".join(struct.pack("<IIIfiI", t.height, t.width, t.channels, t.scale, t.zero_point, 2 if i else 1)
                       for i, t in enumerate(net.tensors))
    return _assemble((b"META", _meta_bytes(meta)), (b"TENS", tensors), (b"OPER", bytes(ops)),
                     (b"DATA", bytes(data.bytes)))


def _assemble(*sections: tuple[bytes, bytes]) -> bytes:
    offset = 64 + 24 * len(sections)
    table, body = b"", bytearray()
    for tag, content in sections:
        body += bytes(-(offset + len(body)) % ALIGNMENT)
        table += struct.pack("<4sIQQ", tag, 0, offset + len(body), len(content))
        body += content
    rest = table + bytes(body)
    return struct.pack("<4sIQQ32sQ", b"CXRM", VERSION, 64 + len(rest), 0, hashlib.sha256(rest).digest(), 0) + rest


def read(path: str) -> tuple[IntegerNet, Meta]:
    """The network and metadata of a file that this project wrote."""
    data = Path(path).read_bytes()
    magic, version, size, _, digest, _ = struct.unpack_from("<4sIQQ32sQ", data.ljust(HEADER, b"\0"))
    if magic != b"CXRM" or version not in (1, VERSION) or size != len(data) or hashlib.sha256(data[64:]).digest() != digest:
        raise DataError(f"{path} is not a sound .cxrm file of version 1 or {VERSION}.")
    section = {}
    for i in range(4):
        tag, _, offset, length = struct.unpack_from("<4sIQQ", data, 64 + 24 * i)
        section[tag] = data[offset:offset + length]
    tensors = [Tensor(*struct.unpack_from("<IIIfi", section[b"TENS"], at))
               for at in range(0, len(section[b"TENS"]), 24)]
    records = [struct.unpack_from("<16I", section[b"OPER"], at) for at in range(0, len(section[b"OPER"]), 64)]
    convolutions = [_read_convolution(r, tensors, section[b"DATA"]) for r in records if r[0] not in (HEAD, MAP)]
    head = next(r for r in records if r[0] == HEAD)
    channels, meta = tensors[head[1]].channels, _read_meta(section[b"META"])
    outputs = len(str(meta["classes"]).split("\n")) + 1
    weight = np.frombuffer(section[b"DATA"], "<f4", channels * 8, head[12]).reshape(channels, 8)[:, :outputs].copy()
    bias = np.frombuffer(section[b"DATA"], "<f4", 8, head[13])[:outputs].copy()
    maps = [_read_map(r, tensors, section[b"DATA"]) for r in records if r[0] == MAP]
    return IntegerNet(tensors, convolutions, weight, bias, head[1], maps), meta


def _read_map(record: tuple, tensors: list[Tensor], data: bytes) -> MapHead:
    fine, coarse = record[1], -1 if record[2] == NONE else record[2]
    return MapHead(fine, coarse, np.frombuffer(data, "<f4", tensors[fine].channels, record[12]).copy(),
                   np.frombuffer(data, "<f4", tensors[coarse].channels if coarse >= 0 else 0, record[14]).copy(),
                   np.frombuffer(data, "<f4", 1, record[13])[0])


def _read_convolution(record: tuple, tensors: list[Tensor], data: bytes) -> Convolution:
    opcode, source, output, residual, kernel, stride, pad = record[:7]
    inputs, outputs = tensors[source].channels, tensors[output].channels
    count = outputs * (inputs if opcode == POINTWISE else kernel * kernel)
    flat = np.frombuffer(data, np.int8, count, record[12])
    return Convolution(opcode, source, output, -1 if residual == NONE else residual, kernel, stride, pad,
                       np.ascontiguousarray(_weights_from_file(flat, opcode, kernel, inputs, outputs)),
                       np.frombuffer(data, "<i4", outputs, record[13]).copy(),
                       np.frombuffer(data, "<f4", outputs, record[14]).copy())


def _read_meta(data: bytes) -> Meta:
    meta: Meta = {}
    at = 0
    while at + 12 <= len(data):
        kind, key_length, count = struct.unpack_from("<III", data, at)
        at += 12
        key = data[at:at + key_length].decode()
        at += key_length + -key_length % 4
        length = count + 1 if kind == 1 else 4 * count
        body = data[at:at + length]
        meta[key] = body[:count].decode() if kind == 1 else np.frombuffer(body, "<f4" if kind == 2 else "<i4")
        at += length + -length % 4
    return meta


def read_convolutions(path: str) -> list[Folded]:
    """The convolutions in real numbers, to start training from shipped weights."""
    net, _ = read(path)
    result = []
    for conv in net.convolutions:
        source, out = net.tensors[conv.input], net.tensors[conv.output]
        scale = conv.multiplier.astype(np.float64) * out.scale
        sums = conv.weight.astype(np.int64).sum(axis=(1, 2, 3))
        result.append(Folded(
            torch.from_numpy(conv.weight * (scale / source.scale).reshape(-1, 1, 1, 1)).float(),
            torch.from_numpy((conv.bias + source.zero_point * sums) * scale).float()))
    return result


@torch.no_grad()
def read_heads(path: str, target: Net) -> None:
    """Copies the affine layers of classes and maps, which take their tensors in real numbers, into a network. A file of
    version 1 has no maps: their heads stay as they are."""
    net, _ = read(path)
    target.head.weight.copy_(torch.from_numpy(np.ascontiguousarray(net.head_weight.T)))
    target.head.bias.copy_(torch.from_numpy(net.head_bias))
    if net.maps:
        lungs, opacities = net.maps
        target.lungs.to_fine.weight.copy_(torch.from_numpy(lungs.fine_weight).reshape(1, -1, 1, 1))
        target.lungs.to_fine.bias.fill_(float(lungs.bias))
        target.lungs.to_coarse.weight.copy_(torch.from_numpy(lungs.coarse_weight).reshape(1, -1, 1, 1))
        target.opacities.to_map.weight.copy_(torch.from_numpy(opacities.fine_weight).reshape(1, -1, 1, 1))
        target.opacities.to_map.bias.fill_(float(opacities.bias))
