"""Quantisation, the integer reference and the model file."""
from __future__ import annotations

import math
import struct
import tempfile
import unittest
from fractions import Fraction
from pathlib import Path
from unittest import mock

import places
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from dataset.preprocess import canonical, read_gray
from dataset.records import CLASS_IDS
from files import DataError, file_digest
from integer import cxrm
from integer.fake_quant import FITS_I16, QuantNet, to_integer
from integer.golden import write_golden
from integer.provenance import CONTAINED, Origin, origin_of
from integer.ranges import calibrate_scales, first_scales
from integer.reference import (DEPTHWISE, POINTWISE, TOP, Convolution, IntegerNet, MapHead, Tensor, exact_exp, load_integer,
                               save_integer, sigmoid)
from network.mobilenet import Net, Outputs, load_folded
from network.trainer import outputs_of

META = {"model.id": "tiny", "model.version": "1.2.3", "classes": "\n".join(CLASS_IDS), "training.data": "a" * 64,
        "gate.threshold": np.array([0.5], np.float32), "numbers": np.array([1, -2, 3], np.int32)}


def samples() -> np.ndarray:
    """One of the page's synthetic images of each class, as the network reads them."""
    return np.stack([canonical(read_gray(str(path)))[0] for path in sorted(places.SAMPLES.glob("*-1.jpg"))])


def tiny_net(maps: bool = True) -> IntegerNet:
    """Sixteen channels at half and a quarter of 8 x 8, with every kind of operator and head."""
    rng = np.random.default_rng(0)

    def convolution(opcode: int, source: int, output: int, inputs: int, stride: int = 1, kernel: int = 1,
                    residual: int = -1) -> Convolution:
        return Convolution(opcode, source, output, residual, kernel, stride, kernel // 2 if stride == 1 else 0,
                           rng.integers(-127, 128, (16, inputs, kernel, kernel)).astype(np.int8),
                           rng.integers(-999, 999, 16).astype(np.int32), rng.uniform(1e-3, 1e-2, 16).astype(np.float32))

    tensors = [Tensor(8, 8, 1, 1 / 255, 0), Tensor(4, 4, 16, 0.5, 0), Tensor(4, 4, 16, 0.25, 3), Tensor(2, 2, 16, 0.125, 0)]
    convolutions = [convolution(1, 0, 1, 1, stride=2, kernel=3), convolution(POINTWISE, 1, 2, 16, residual=1),
                    convolution(DEPTHWISE, 2, 3, 1, stride=2, kernel=3)]
    weights = rng.normal(size=(3, 16)).astype(np.float32)
    heads = [MapHead(2, 3, weights[0], weights[1], np.float32(0.5)), MapHead(3, -1, weights[2], np.empty(0, np.float32), np.float32(-1))]
    return IntegerNet(tensors, convolutions, rng.normal(size=(16, 5)).astype(np.float32), rng.normal(size=5).astype(np.float32), 3,
                      heads if maps else [])


class Arithmetic(unittest.TestCase):
    def test_the_convolution_follows_the_rule(self) -> None:
        """Against the rule spelled out in Python integers and single float32 operations."""
        rng = np.random.default_rng(1)
        for opcode, inputs, kernel in ((POINTWISE, 960, 1), (DEPTHWISE, 8, 3)):
            shape = (8, inputs if opcode == POINTWISE else 1, kernel, kernel)
            conv = Convolution(opcode, 0, 1, -1, kernel, 1, kernel // 2, rng.integers(-127, 128, shape).astype(np.int8),
                               rng.integers(-10 ** 6, 10 ** 6, 8).astype(np.int32),
                               rng.uniform(1e-5, 1e-3, 8).astype(np.float32))
            net = IntegerNet([Tensor(4, 4, inputs, 1, 0), Tensor(4, 4, 8, 1, 5)], [conv], np.zeros((8, 5), np.float32),
                             np.zeros(5, np.float32), 1, [])
            x = rng.integers(0, 128, (inputs, 4, 4))
            got = net._convolve(conv, [torch.from_numpy(x[None].astype(np.float32))])[0].numpy()
            padded = np.pad(x, ((0, 0), (kernel // 2,) * 2, (kernel // 2,) * 2))
            for channel, row, column in np.ndindex(8, 4, 4):
                window = padded[:, row:row + kernel, column:column + kernel]
                window = window if opcode == POINTWISE else window[channel:channel + 1]
                total = int(conv.bias[channel]) + int((window * conv.weight[channel].astype(int)).sum())
                t = np.float32(total) * conv.multiplier[channel]
                expected = np.clip(np.rint(np.clip(t, -512, 512)) + 5, 0, 127)
                self.assertEqual(got[channel, row, column], expected)

    def test_a_map_follows_the_rule(self) -> None:
        """Cell by cell in single float32 operations: the fine sum from the bias on, the coarse one from zero, enlarged along
        x and then along y by three quarters of the near cell and one of the far."""
        net, f = tiny_net(), np.float32
        values = net.run(np.random.default_rng(2).integers(0, 256, (1, 8, 8)).astype(np.uint8))
        head, (fine, coarse) = net.maps[0], (values[i][0].numpy() for i in (2, 3))

        def cell(tensor: np.ndarray, number: int, weight: np.ndarray, start: float, row: int, column: int) -> np.float32:
            total = f(start)
            for channel in range(16):
                total = f(total + f(weight[channel] * f(f(net.tensors[number].scale) * f(tensor[channel, row, column]))))
            return total

        small = [[cell(coarse, 3, head.coarse_weight, 0, r, c) for c in range(2)] for r in range(2)]
        mixed = lambda near, far: f(f(f(0.75) * near) + f(f(0.25) * far))  # noqa: E731
        wide = [[mixed(line[x // 2], line[min(1, max(0, x // 2 + (1 if x % 2 else -1)))]) for x in range(4)] for line in small]
        tall = [[mixed(wide[y // 2][x], wide[min(1, max(0, y // 2 + (1 if y % 2 else -1)))][x]) for x in range(4)] for y in range(4)]
        expected = [[f(cell(fine, 2, head.fine_weight, head.bias, y, x) + tall[y][x]) for x in range(4)] for y in range(4)]
        np.testing.assert_array_equal(head.logits(net.tensors, values)[0], np.array(expected, np.float32))
        alone = net.maps[1].logits(net.tensors, values)[0]
        self.assertEqual(alone[1, 0], cell(coarse, 3, net.maps[1].fine_weight, -1, 1, 0))

    def test_the_class_head_follows_the_rule(self) -> None:
        net, f = tiny_net(), np.float32
        values = net.run(np.random.default_rng(3).integers(0, 256, (2, 8, 8)).astype(np.uint8))
        scale = f(f(net.tensors[3].scale) / f(4))
        for image in range(2):
            expected = net.head_bias.copy()
            for channel in range(16):
                mean = f(f(int(values[3][image, channel].sum())) * scale)
                expected = (expected + mean * net.head_weight[channel]).astype(np.float32)
            np.testing.assert_array_equal(net.head(values[3])[image], expected)

    def test_outputs_of_many_images_are_those_of_each(self) -> None:
        net, images = tiny_net(), np.random.default_rng(4).integers(0, 256, (5, 8, 8)).astype(np.uint8)
        for whole, parts in zip(net.outputs(images), zip(*(net.outputs(images[i:i + 1]) for i in range(5)))):
            np.testing.assert_array_equal(whole, np.concatenate(parts))
        self.assertEqual([o.shape for o in net.outputs(images, count=2)], [(5, 5), (5, 4, 4), (5, 2, 2)])

    def test_exp_is_exact_to_a_bit_in_the_last_place(self) -> None:
        x = np.concatenate([np.linspace(-700, 700, 2001), np.random.default_rng(0).normal(0, 3, 2000), [0, -0.0, 1, -1, 1e-300]])
        found = exact_exp(x)
        for value, got in zip(x.tolist(), found.tolist()):
            self.assertLessEqual(abs(got - math.exp(value)), math.ulp(math.exp(value)), value)
        self.assertEqual(exact_exp(np.array([0.0]))[0], 1)

    def test_the_sigmoid_is_rounded_from_double_precision(self) -> None:
        x = np.concatenate([np.linspace(-90, 90, 2001), [-1e9, 1e9, 0]]).astype(np.float32)
        found = sigmoid(x)
        self.assertEqual((found.dtype, found[-3], found[-2], found[-1]), (np.float32, 0, 1, 0.5))
        for value, got in zip(x[:-3].tolist(), found.tolist()):
            exact = Fraction(1) / (1 + Fraction(math.exp(-value)))
            self.assertLessEqual(abs(Fraction(got) - exact), Fraction(float(np.spacing(np.float32(got)))) * Fraction(51, 100))
        self.assertTrue((np.diff(found[:-3]) >= 0).all())


class Quantisation(unittest.TestCase):
    """The shipped network in floats, quantised anew."""

    @classmethod
    def setUpClass(cls) -> None:
        torch.manual_seed(0)
        cls.images = samples()
        cls.x = torch.from_numpy(cls.images).unsqueeze(1).float() / 255
        cls.net = Net().eval()
        load_folded(cls.net, cxrm.read_convolutions(str(places.SHIPPED)), cls.x)
        cxrm.read_heads(str(places.SHIPPED), cls.net)
        cls.quant = QuantNet(cls.net).eval()
        with torch.no_grad():
            cls.groups = first_scales(cls.quant, cls.images)
            calibrate_scales(cls.quant, cls.images)
            cls.integer = to_integer(cls.quant)

    def outputs(self, net: torch.nn.Module) -> Outputs:
        with torch.no_grad():
            return net(self.x)

    def test_without_rounding_it_is_the_float_network(self) -> None:
        self.quant.rounding(False)
        self.addCleanup(self.quant.rounding, True)
        for found, expected in zip(self.outputs(self.quant), self.outputs(self.net)):
            torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)

    def test_with_rounding_each_convolution_is_the_integer_one(self) -> None:
        values = [v - tensor.zero_point for v, tensor in zip(self.integer.run(self.images), self.integer.tensors)]
        with torch.no_grad():
            for step, conv, own, expected in zip(self.quant.steps, self.quant.convolutions, self.integer.convolutions, values[1:]):
                got = conv(values[step.input], values[step.residual] if step.residual >= 0 else None)
                # Sums in another order round a tie the other way; a bias is an integer of the accumulator only there.
                bound = 1 + torch.from_numpy(own.multiplier).reshape(1, -1, 1, 1) / 2
                self.assertTrue(((got - expected).abs() <= bound).all())
                self.assertLess((got != expected).float().mean(), 0.1)

    def test_integer_maps_are_the_float_ones_within_rounding(self) -> None:
        (logits, *maps), (wanted, *wanted_maps) = self.integer.outputs(self.images), self.outputs(self.net)
        for found, expected in zip(maps, wanted_maps):
            self.assertLess(np.abs(found - expected.numpy()).mean(), 0.1 * expected.std().item())
            self.assertGreater(np.corrcoef(found.ravel(), expected.numpy().ravel())[0, 1], 0.98)
        np.testing.assert_array_equal(logits[:, :4].argmax(1), wanted[:, :4].argmax(1))

    def test_heads_read_the_same_tensors(self) -> None:
        """From the same integers, both give the same outputs but for the order of sums."""
        values = self.integer.run(self.images)
        centred = [v - tensor.zero_point for v, tensor in zip(values, self.integer.tensors)]
        with torch.no_grad():
            expected = self.quant.outputs_of(centred)
        found = (self.integer.head(values[self.integer.features]), *(m.logits(self.integer.tensors, values) for m in self.integer.maps))
        for name, a, b in zip(Outputs._fields, found, expected):
            np.testing.assert_allclose(a, b.numpy(), atol=1e-3 * b.abs().max().item(), err_msg=name)

    def test_chosen_scales_change_the_outputs_less_than_those_that_clamp_nothing(self) -> None:
        plain = QuantNet(self.net).eval()
        with torch.no_grad():
            for group in self.groups:
                for tensor in group.tensors:
                    plain.set_scale(tensor, group.scale, group.zero_point)
        plain.rounding(True)
        expected = self.outputs(self.net)

        def change(net: QuantNet) -> float:
            found = self.outputs(net)
            return sum((F.mse_loss(a, b) / b.var()).item() for a, b in zip(found, expected))

        self.assertLess(change(self.quant), change(plain) / 1.5)

    def test_weights_fit_sums_of_16_bits(self) -> None:
        """So the engine may use its faster sums: CXR_FITS_I16 in src/README.md."""
        for conv in self.integer.convolutions:
            self.assertLessEqual(np.abs(conv.weight.astype(int)).max(), TOP)
            if conv.opcode == POINTWISE:
                fours = np.abs(conv.weight.astype(int)).reshape(len(conv.weight), -1, 2, 2, 2).sum(axis=(2, 4))
                self.assertLessEqual(fours.max(), FITS_I16)

    def test_an_integer_network_is_written_and_read(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "integer.pickle"
            save_integer(self.integer, path)
            for a, b in zip(load_integer(str(path)).outputs(self.images[:1]), self.integer.outputs(self.images[:1])):
                np.testing.assert_array_equal(a, b)

    def test_training_goes_on_from_a_model_file(self) -> None:
        """The float network that starts from the shipped file computes what the file does but for the rounding: some 11% of the
        logits' spread, where other weights would be as far off as the spread."""
        shipped, _ = cxrm.read(str(places.SHIPPED))
        for name, found, expected in zip(Outputs._fields, outputs_of(self.net, self.images), shipped.outputs(self.images)):
            limit = 0.15 if name == "logits" else 0.1
            self.assertLess(np.abs(found - expected).mean(), limit * expected.std(), name)


class ModelFile(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "model.cxrm"
        self.image = np.random.default_rng(5).integers(0, 256, (2, 8, 8)).astype(np.uint8)

    def test_it_reads_back_as_written(self) -> None:
        content = cxrm.write(tiny_net(), META)
        self.path.write_bytes(content)
        net, meta = cxrm.read(str(self.path))
        self.assertEqual(cxrm.write(net, meta), content)
        self.assertEqual(list(meta), list(META))
        for key, value in META.items():
            np.testing.assert_array_equal(meta[key], value)
        for a, b in zip(net.outputs(self.image), tiny_net().outputs(self.image)):
            np.testing.assert_array_equal(a, b)

    def test_its_records_are_those_of_the_format(self) -> None:
        content = cxrm.write(tiny_net(), META)
        self.assertEqual(struct.unpack_from("<4sIQ", content), (b"CXRM", 2, len(content)))
        sections = {tag: (offset, length) for tag, _, offset, length in
                    (struct.unpack_from("<4sIQQ", content, 64 + 24 * i) for i in range(4))}
        self.assertEqual(list(sections), [b"META", b"TENS", b"OPER", b"DATA"])
        offset, length = sections[b"OPER"]
        records = [struct.unpack_from("<16I", content, at) for at in range(offset, offset + length, 64)]
        self.assertEqual([r[0] for r in records], [1, 2, 3, 4, 5, 5])
        none = 0xFFFFFFFF
        heads = [(4, 3, 3, none, 0, 1, 0, 0, 0, 127, 0, 0), (5, 2, 3, none, 0, 1, 0, 0, 0, 127, 0, 0),
                 (5, 3, none, none, 1, 1, 0, 0, 0, 127, 0, 0)]
        self.assertEqual([r[:12] for r in records[3:]], heads)
        data = sections[b"DATA"][0]
        lungs = tiny_net().maps[0]
        for at, values in ((12, lungs.fine_weight), (13, [lungs.bias]), (14, lungs.coarse_weight)):
            np.testing.assert_array_equal(np.frombuffer(content, "<f4", len(values), data + records[4][at]), values)
        self.assertEqual([offset % 64 for offset, _ in sections.values()], [0] * 4)

    def test_a_file_of_version_1_still_starts_a_training(self) -> None:
        content = bytearray(cxrm.write(tiny_net(maps=False), META))
        content[4] = 1
        self.path.write_bytes(content)
        net, meta = cxrm.read(str(self.path))
        self.assertEqual((net.maps, meta["model.id"]), ([], "tiny"))
        np.testing.assert_array_equal(net.outputs(self.image)[0], tiny_net().outputs(self.image)[0])
        convolutions = cxrm.read_convolutions(str(self.path))
        self.assertEqual(len(convolutions), 3)
        expected = net.convolutions[1].weight[2, 3, 0, 0] * net.convolutions[1].multiplier[2] * 0.25 / 0.5
        self.assertAlmostEqual(convolutions[1].weight[2, 3, 0, 0].item(), expected, places=6)

    def test_heads_of_version_1_leave_the_maps_as_they_are(self) -> None:
        old = tiny_net(maps=False)
        old.head_weight = np.random.default_rng(0).normal(size=(1280, 5)).astype(np.float32)
        old.tensors[3].channels = 1280
        content = bytearray(cxrm.write(old, META))
        content[4] = 1
        self.path.write_bytes(content)
        net = Net()
        before = net.opacities.to_map.bias.item()
        with mock.patch("integer.cxrm._read_convolution"):
            cxrm.read_heads(str(self.path), net)
        np.testing.assert_array_equal(net.head.weight.detach().numpy(), old.head_weight.T)
        self.assertEqual(net.opacities.to_map.bias.item(), before)

    def test_what_is_damaged_or_of_another_version_is_refused(self) -> None:
        good = cxrm.write(tiny_net(), META)
        for content in (b"CXRM", good[:-1], good[:4] + b"\x03" + good[5:], good[:-1] + bytes([good[-1] ^ 1]), b""):
            self.path.write_bytes(content)
            self.assertRaisesRegex(DataError, "not a sound .cxrm file", cxrm.read, str(self.path))


class Provenance(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.model, self.checkpoint = (str(Path(folder.name) / name) for name in ("model.cxrm", "best.pt"))
        Path(self.model).write_bytes(cxrm.write(tiny_net(), META))

    def test_what_weights_have_seen_is_handed_on(self) -> None:
        own = str(META["training.data"])
        self.assertEqual(origin_of(self.model, own).seen, "")
        self.assertEqual(origin_of("mobilenet.tflite", "a"), Origin("mobilenet.tflite"))
        first = origin_of(self.model, "a")
        self.assertEqual(first.seen, own)
        self.assertRegex(first.model, r"^tiny 1\.2\.3 [0-9a-f]{64}$")
        torch.save({"data": "a", "start": first.model, "seen": first.seen}, self.checkpoint)
        self.assertEqual(origin_of(self.checkpoint, "a"), Origin(self.checkpoint, first.model, own))
        self.assertEqual(origin_of(self.checkpoint, "b").seen, ",".join(sorted((own, "a"))))
        taught = origin_of("mobilenet.tflite", "b", [self.checkpoint])
        self.assertEqual(taught, Origin("mobilenet.tflite", "", ",".join(sorted((own, "a")))))
        torch.save({}, self.checkpoint)
        self.assertEqual(origin_of(self.checkpoint, "b").seen, "unknown")

    def test_data_whose_training_images_are_all_training_images_today_does_not_count(self) -> None:
        torch.save({"data": min(CONTAINED), "seen": "a"}, self.checkpoint)
        self.assertEqual(origin_of(self.checkpoint, "b").seen, "a")


class Shipped(unittest.TestCase):
    """The model file of this checkout."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.net, cls.meta = cxrm.read(str(places.SHIPPED))

    def test_it_is_of_this_format_and_its_weights_fit_sums_of_16_bits(self) -> None:
        self.assertEqual(cxrm.write(self.net, self.meta), places.SHIPPED.read_bytes())
        self.assertEqual(self.meta["classes"], "\n".join(CLASS_IDS))
        self.assertEqual([len(self.net.convolutions), len(self.net.maps)], [56, 2])
        for conv in self.net.convolutions:
            if conv.opcode == POINTWISE:
                fours = np.abs(conv.weight.astype(int)).reshape(len(conv.weight), -1, 2, 2, 2).sum(axis=(2, 4))
                self.assertLessEqual(fours.max(), FITS_I16)

    def test_golden_vectors_are_its(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            write_golden(self.net, file_digest(places.SHIPPED), Path(folder))
            for name in ("engine.txt", "preprocess.txt"):
                self.assertEqual((Path(folder) / name).read_text(), (places.GOLDEN / name).read_text())
            for path in Path(folder).glob("*/*.png"):
                shipped = places.GOLDEN / path.relative_to(folder)
                np.testing.assert_array_equal(np.asarray(Image.open(path)), np.asarray(Image.open(shipped)), path.name)


if __name__ == "__main__":
    unittest.main()
