"""The parts of the model pipeline by themselves."""
from __future__ import annotations

import json
import os
import struct
import sys
import tempfile
import unittest
import zlib
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "model"), str(Path(__file__).parent)]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402

import card  # noqa: E402
import cxrm  # noqa: E402
import golden  # noqa: E402
import made_up  # noqa: E402
import tflite  # noqa: E402
from batches import Batch, Batches  # noqa: E402
from calibrate import binomial_upper, calibrate, doubt_threshold, fit_calibration  # noqa: E402
from data import (CLASS_IDS, INPUT, NEGATIVE, PUBLISHED, DataError, Record, check_splits, read_image,  # noqa: E402
                  load_images, read_manifest, read_negatives, resize, run_in_sentences, to_gray)
from engine import _answers  # noqa: E402
from fit import Budget, Fit, Recipe, Sets, logits_of, save_atomically, score_of  # noqa: E402
from integer import DEPTHWISE, POINTWISE, Convolution, IntegerNet, Tensor  # noqa: E402
from manifest import clusters_of, near_pairs, perceptual_hash, split_clusters  # noqa: E402
from metrics import bootstrap, confusion, pr_curve, rates, reliability, risk_coverage, roc_curve  # noqa: E402
from net import Net, fold, layers, load_folded  # noqa: E402
from origin import Origin, origin_of  # noqa: E402
from quantnet import LIGHT, QuantNet, to_integer  # noqa: E402
from scales import calibrate_scales, first_scales  # noqa: E402
from train import TAUGHT, Teachers, start, start_file  # noqa: E402

SHIPPED = ROOT / "model" / "cxrlens.cxrm"
GOLDEN = ROOT / "tests" / "golden"


def samples() -> np.ndarray:
    """The page's sample films."""
    return np.stack([read_image(str(path), INPUT) for path in sorted((ROOT / "web" / "samples").glob("*.jpg"))])


def flat_films(count: int) -> np.ndarray:
    """Films of one level each."""
    return np.broadcast_to(np.arange(count, dtype=np.uint8).reshape(-1, 1, 1), (count, 224, 224)).copy()


def float_net(films: np.ndarray) -> Net:
    """The shipped network in floats."""
    records = [Record(str(i), "", i, "train", "", "", "") for i in range(len(films))]
    return start(str(SHIPPED), Sets(films, records, films[:0], []), seed=1).eval()


class Preprocessing(unittest.TestCase):
    def test_resize_is_pillows_bicubic_within_a_level(self) -> None:
        for shape in ((299, 299), (611, 90), (100, 120), (224, 224)):
            y, x = np.mgrid[0:1:shape[0] * 1j, 0:1:shape[1] * 1j]
            image = (127 + 90 * np.sin(7 * x + 3 * y) * np.cos(5 * y)).astype(np.uint8)
            expected = np.asarray(Image.fromarray(image).resize((224, 224), Image.BICUBIC)).astype(int)
            self.assertLessEqual(np.abs(resize(image) - expected).max(), 1, shape)

    def test_sixteen_bits_are_scaled_by_65535(self) -> None:
        self.assertTrue((resize(np.full((50, 60), 65535, np.uint16)) == 255).all())
        self.assertTrue((resize(np.full((50, 60), 257 * 100, np.uint16)) == 100).all())

    def test_a_transparent_gray_is_black(self) -> None:
        for dtype, key in ((np.uint8, 200), (np.uint16, 51400)):
            image = Image.fromarray(np.array([[key, key - 1]], dtype))
            image.info["transparency"] = key
            np.testing.assert_array_equal(to_gray(image), [[0, key - 1]])

    def test_orientation_is_applied(self) -> None:
        stored = np.arange(40 * 60, dtype=np.uint16).reshape(40, 60).astype(np.uint8)
        exif = Image.Exif()
        exif[0x0112] = 6  # turn clockwise to see
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "turned.png"
            Image.fromarray(stored).save(path, exif=exif)
            np.testing.assert_array_equal(read_image(str(path)), resize(np.rot90(stored, -1)))


class Splits(unittest.TestCase):
    def test_near_duplicates_stay_together(self) -> None:
        rng = np.random.default_rng(0)
        films = [made_up.film(i % 4, rng) for i in range(24)]
        copy = np.clip(films[5].astype(int) + 3, 0, 255).astype(np.uint8)
        hashes = np.stack([perceptual_hash(resize(f)) for f in [*films, copy]])
        clusters = clusters_of(len(hashes), near_pairs(hashes))
        self.assertEqual(clusters[24], clusters[5])
        classes = [("Normal", "COVID", "Viral_Pneumonia", "Lung_Opacity")[i % 4] for i in range(24)] + ["COVID"]
        paths = [f"{name}/{i}.png" for i, name in enumerate(classes)]
        splits = split_clusters(classes, clusters, paths)
        self.assertEqual(splits[24], splits[5])
        self.assertEqual(set(splits), {"train", "val", "test"})
        self.assertEqual(splits, split_clusters(classes, clusters, paths))

    def test_more_films_move_none_of_those_that_are_there(self) -> None:
        def splits_of(each: int) -> dict[str, str]:
            paths = [f"{name}/{i}.png" for name in made_up.FOLDERS for i in range(each)]
            classes = [path.split("/")[0].replace(" ", "_") for path in paths]
            return dict(zip(paths, split_clusters(classes, np.arange(len(paths)), paths)))

        few, more = splits_of(100), splits_of(130)
        self.assertEqual(few, {path: more[path] for path in few})
        shares = np.unique(list(more.values()), return_counts=True)[1] / len(more)
        np.testing.assert_allclose(shares, (0.12, 0.80, 0.08), atol=0.05)
        for name in made_up.FOLDERS:
            self.assertEqual({split for path, split in splits_of(3).items() if path.startswith(name)},
                             {"train", "val", "test"})

    def test_a_cluster_in_two_splits_is_an_error(self) -> None:
        records = [Record(str(i), "", 0, split, "7", "", "") for i, split in enumerate(("train", "test"))]
        self.assertRaisesRegex(DataError, "in both train and test", check_splits, records)

    def test_a_name_in_a_manifest_may_be_any_bytes(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            manifest = Path(folder) / "manifest.csv"
            manifest.write_bytes(b"id,file,class,split,cluster,source\n\xff,\xff.png,COVID,train,1,\xed\n")
            records = read_manifest(str(manifest), folder)
        self.assertEqual((records[0].id, records[0].source), ("\\xff", "\\xed"), "text for any report")
        self.assertEqual(os.fsencode(records[0].path), os.fsencode(folder) + b"/\xff.png")
        self.assertEqual(len(Sets(flat_films(1), records, flat_films(0), []).fingerprint()), 64)

    def test_a_row_that_no_step_would_use_is_an_error(self) -> None:
        for rows, message in (("a,a.png,COVID,Train,1", "of the split 'Train', which is none of train, val, test"),
                              ("a", "has a row that is too short")):
            with tempfile.TemporaryDirectory() as folder:
                manifest = Path(folder) / "manifest.csv"
                manifest.write_text(f"\ufeffid,file,class,split,cluster\n{rows}\n", encoding="utf-8")  # as Excel writes it
                self.assertRaisesRegex(DataError, message, read_manifest, str(manifest), folder)

    def test_a_file_is_read_once_it_may_be(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "film.png"
            path.touch()
            records = [Record("film", str(path), 0, "train", "", "", "")]
            with mock.patch("data.os.access", return_value=False), mock.patch("data.read_image", side_effect=PermissionError):
                self.assertEqual(len(load_images(records, folder)[2]), 1)
            with mock.patch("data.os.access", return_value=True), mock.patch("data.read_image", return_value=flat_films(1)[0]):
                for _ in range(2):
                    self.assertEqual(len(load_images(records, folder)[1]), 1)
            self.assertEqual(len(list(Path(folder).glob("*.npz"))), 1, "no old ones are left")

    def test_colours_of_sixteen_bits_are_refused(self) -> None:
        rows = b"".join(b"\0" + bytes(6 * 40) for _ in range(40))
        chunks = b"".join(struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body)) for tag, body in (
            (b"IHDR", struct.pack(">IIBBBBB", 40, 40, 16, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "deep.png"
            path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
            self.assertRaisesRegex(ValueError, "16 bits", read_image, str(path))

    def test_a_manifest_of_negatives_without_a_column_is_an_error(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            manifest = Path(folder) / "negatives" / "manifest.csv"
            manifest.parent.mkdir()
            manifest.write_text("file,split\na.png,train\n")
            self.assertRaisesRegex(DataError, "lacks the column 'kind'", read_negatives, folder)


class Checkpoints(unittest.TestCase):
    def test_a_failing_write_leaves_the_last_good_file(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "last.pt"
            save_atomically({"epoch": 1}, path)

            with mock.patch("fit.os.fsync", side_effect=OSError("No space left on device")), self.assertRaises(OSError):
                save_atomically({"epoch": 2}, path)
            self.assertEqual(torch.load(path)["epoch"], 1)
            self.assertEqual([p.name for p in Path(folder).iterdir()], ["last.pt"])

    def test_a_full_disk_ends_a_program_with_a_sentence(self) -> None:
        with self.assertRaises(SystemExit) as end:
            run_in_sentences(mock.Mock(side_effect=OSError(28, "No space left on device", "last.pt")))
        self.assertRegex(str(end.exception), r"could not be read or written: .*No space left on device: 'last.pt'\.$")

    def test_the_lower_loss_is_kept(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            fit = self.fit(folder, flat_films(4))
            for loss in (0.3, 0.2, 0.25):
                torch.nn.init.constant_(fit.average.weight, loss)
                fit._keep_best(fit.average, score_of({"log_loss": loss}))
            kept = torch.load(Path(folder) / "best.pt")
            self.assertAlmostEqual(kept["average"]["weight"].item(), 0.2)
            self.assertEqual((kept["start"], kept["seen"]), ("model", "other"))

    def test_other_films_under_the_old_names_are_another_training(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self.fit(folder, flat_films(4))._save()
            self.fit(folder, flat_films(4))
            self.assertRaisesRegex(DataError, "holds a training of other data", self.fit, folder, flat_films(4) + 1)

    def test_beginning_anew_keeps_the_best_weights_until_there_are_others(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            fit = self.fit(folder, flat_films(4))
            fit._keep_best(fit.average, 1.0)
            fit._save()
            fit = self.fit(folder, flat_films(4), restart=True)
            self.assertEqual({p.name for p in Path(folder).iterdir()}, {"best.pt"})
            torch.nn.init.constant_(fit.average.weight, 0.7)
            fit._keep_best(fit.average, -9.0)
            self.assertAlmostEqual(torch.load(Path(folder) / "best.pt")["average"]["weight"].item(), 0.7)

    @staticmethod
    def fit(folder: str, images: np.ndarray, restart: bool = False) -> Fit:
        sets = Sets(images, [Record(str(i), "", i % 4, "train", "", "", "") for i in range(len(images))], images[:0], [])
        return Fit(torch.nn.Linear(1, 1), Recipe(1e-3, 0.9, mock.Mock(), mock.Mock()), Budget(0, 1, 1, 1), sets, folder, 1,
                   restart, Origin("", "model", "other"))


class Origins(unittest.TestCase):
    def test_what_weights_have_seen_is_handed_on(self) -> None:
        own = str(cxrm.read(str(SHIPPED))[1]["training.data"])
        self.assertEqual(origin_of(str(SHIPPED), own).seen, "")
        self.assertEqual(origin_of("mobilenet.tflite", "a"), Origin("mobilenet.tflite"))
        first = origin_of(str(SHIPPED), "a")
        self.assertEqual(first.seen, own)
        self.assertRegex(first.model, r"^cxrlens-mobilenetv2 \S+ [0-9a-f]{64}$")
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "best.pt")
            torch.save({"data": "a", "start": first.model, "seen": first.seen}, path)
            self.assertEqual(origin_of(path, "a"), Origin(path, first.model, own))
            self.assertEqual(origin_of(path, "b").seen, ",".join(sorted((own, "a"))))
            taught = origin_of("mobilenet.tflite", "b", [path])
            self.assertEqual((taught.model, taught.seen), ("", ",".join(sorted((own, "a")))))
            torch.save({}, path)
            self.assertEqual(origin_of(path, "b").seen, "unknown")

    def test_a_training_is_resumed_from_the_file_that_it_began_with(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            shipped, out = Path(folder) / "model.cxrm", Path(folder) / "train"
            with mock.patch("train.SHIPPED", str(shipped)):
                self.assertEqual(start_file(None, out, False), "")
                shipped.write_bytes(b"first")
                begun = start_file(None, out, False)
                (out / "last.pt").touch()
                shipped.write_bytes(b"exported")
                self.assertEqual(start_file(None, out, False), begun)
                self.assertEqual(Path(begun).read_bytes(), b"first")
                self.assertEqual(start_file("other.tflite", out, False), "other.tflite")
                self.assertEqual(Path(start_file(None, out, True)).read_bytes(), b"exported")
                self.assertEqual(Path(start_file(begun, out, True)).read_bytes(), b"exported")

    def test_a_start_that_cannot_be_read_is_an_error_with_a_sentence(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "short.cxrm"
            path.write_bytes(b"CXRM")
            self.assertRaisesRegex(DataError, "not a sound .cxrm file", cxrm.read, str(path))
        tensor = mock.Mock(**{"table.return_value": None})
        self.assertRaisesRegex(ValueError, "not quantised", tflite._dequantise, tensor, [])


class Training(unittest.TestCase):
    def test_batches_are_films_of_train_with_their_own_labels_and_negatives_of_train(self) -> None:
        images = flat_films(60)[:, :32, :32]
        splits = ("train", "train", "val", "test", "train")
        records = [Record(str(i), "", i % 4, splits[i % 5], "", "", "") for i in range(60)]
        negatives = images[:8] + 200
        negative_records = [Record(str(i), "", NEGATIVE, "train" if i % 2 else "test", "", "", "") for i in range(8)]
        batches = Batches(images, records, negatives, negative_records, 32, seed=1)
        with mock.patch("batches.augment", lambda x, _rng, _hard: (x, x.clone())), mock.patch("batches.MIXED", 0):
            drawn = list(batches.epoch(0, 20))
        with mock.patch("batches.MIXED", 1):
            mixed = next(batches.epoch(0, 1))
        for batch in (drawn[0], mixed):
            is_film = batch.labels != NEGATIVE
            self.assertEqual(batch.wanted[~is_film].abs().sum(), 0)
            torch.testing.assert_close(batch.wanted[is_film].sum(1), torch.ones(28))
            self.assertTrue((batch.wanted[is_film].argmax(1) == batch.labels[is_film]).all())
        self.assertTrue(drawn[0].single.all() and not mixed.single[mixed.labels != NEGATIVE].any())
        self.assertEqual(set(drawn[0].wanted.unique().tolist()), {0, 1})
        for batch in drawn:
            levels = (batch.images[:, 0, 0, 0] * 255).round().long().numpy()
            kinds = batch.labels.numpy()
            for level, label in zip(levels[kinds != NEGATIVE], kinds[kinds != NEGATIVE]):
                self.assertEqual((records[level].split, records[level].label), ("train", label))
            self.assertEqual((kinds == NEGATIVE).sum(), 4)
            self.assertEqual({negative_records[level - 200].split for level in levels[-2:]}, {"train"})
        self.assertGreater(len({level for batch in drawn for level in batch.images[:, 0, 0, 0].tolist()}), 30)

    def test_teachers_answer_for_films_that_nothing_covers_and_leave_labels_a_share(self) -> None:
        labels = torch.tensor([2, NEGATIVE, 0])
        wanted = torch.tensor([[0, 0, 1.0, 0], [0, 0, 0, 0], [1.0, 0, 0, 0]])
        plain = torch.tensor([1.0, 2, 3]).reshape(3, 1, 1, 1)
        batch = Batch(plain * 0, plain, labels, wanted, torch.ones(3, dtype=torch.bool))
        teachers = Teachers([])
        self.assertIs(teachers(batch), batch)
        # One is sure of class 3 by the film's level, the other of nothing: the mean of their logits is half as sure.
        teachers.nets = [lambda x: torch.cat([torch.zeros(len(x), 3), x.reshape(-1, 1), torch.full((len(x), 1), 9.0)], 1),
                         lambda x: torch.zeros(len(x), 5)]
        taught = teachers(batch)
        mean = torch.tensor([[0, 0, 0, 0.5], [0, 0, 0, 1.5]]).softmax(1)
        torch.testing.assert_close(taught.wanted[[0, 2]], TAUGHT * mean + (1 - TAUGHT) * wanted[[0, 2]])
        torch.testing.assert_close(taught.wanted[1], wanted[1])

    def test_calibration_sees_films_of_val_only(self) -> None:
        levels = 4 * np.arange(60, dtype=np.uint8)
        made: list[np.ndarray] = []
        with tempfile.TemporaryDirectory() as folder:
            records = []
            for i, level in enumerate(levels):
                path = str(Path(folder) / f"{i}.png")
                Image.fromarray(np.full((32, 32), level, np.uint8)).save(path)
                records.append(Record(str(i), path, i % 4, ("train", "val", "test")[i // 4 % 3], "", "", ""))
            images = flat_films(60) * 4
            net = mock.Mock()
            net.logits.side_effect = lambda x: np.eye(5, dtype=np.float32)[x[:, 0, 0] // 4 % 4] * 3

            def note(x: torch.Tensor, _kinds: np.ndarray, _rng: object) -> torch.Tensor:
                made.append((x[:, 0, 0, 0] * 255).round().numpy())
                return x

            with mock.patch("calibrate.make_negatives", note):
                result = calibrate(net, Sets(images, records, images[:0], []))
        val = {int(levels[i]) for i, r in enumerate(records) if r.split == "val"}
        self.assertEqual(set(net.logits.call_args_list[0].args[0][:, 0, 0].tolist()), val)
        self.assertLessEqual(set(np.concatenate(made).astype(int).tolist()), val)
        self.assertEqual(result["val"]["films"], len(val))
        self.assertEqual(result["val"]["accuracy"], 1)


class Steps(unittest.TestCase):
    def test_the_climb_goes_uphill_as_far_as_it_may_in_proportion_to_the_weights(self) -> None:
        from fit import climb
        weights = [torch.nn.Parameter(torch.tensor([[1.0, -2.0, 0.0]])), torch.nn.Parameter(torch.tensor([0.5]))]
        loss = lambda: (weights[0] * torch.tensor([[1.0, 3.0, 2.0]])).sum() + weights[1].sum() ** 2  # noqa: E731
        low = loss()
        low.backward()
        before = climb(weights, 0.2)
        self.assertGreater(loss().item(), low.item())
        self.assertEqual(weights[0][0, 2].item(), 0)
        relative = torch.cat([((weights[0] - before[0]) / before[0])[0, :2], weights[1] - before[1]])
        self.assertAlmostEqual(torch.linalg.vector_norm(relative).item(), 0.2, places=5)


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
                             np.zeros(5, np.float32))
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

    def test_the_quantised_network_is_the_float_one_until_it_rounds_and_then_the_integer_one(self) -> None:
        images = np.stack([resize(made_up.film(i, np.random.default_rng(i)), INPUT) for i in range(4)])
        x = torch.from_numpy(images).unsqueeze(1).float() / 255
        net = Net().eval()
        load_folded(net, cxrm.read_convolutions(str(SHIPPED)), x)
        quant = QuantNet(net).eval()
        with torch.no_grad():
            calibrate_scales(quant, images)
            integer = to_integer(quant)
            values = [v - tensor.zero_point for v, tensor in zip(integer.run(images), integer.tensors)]
            for step, conv, expected in zip(quant.steps, quant.convolutions, values[1:]):
                got = conv(values[step.input], values[step.residual] if step.residual >= 0 else None)
                self.assertLessEqual((got - expected).abs().max(), 1)  # sums in another order round a tie the other way
                self.assertLess((got != expected).float().mean(), 0.1)  # and biases are integers only there
            quant.rounding(False)
            torch.testing.assert_close(quant(x), net(x), atol=1e-3, rtol=1e-3)

    def test_a_model_file_reads_back_as_written(self) -> None:
        net, meta = cxrm.read(str(SHIPPED))
        self.assertEqual(meta["classes"], "\n".join(CLASS_IDS))
        self.assertEqual(cxrm.write(net, meta), SHIPPED.read_bytes())

    def test_the_shipped_weights_are_light(self) -> None:
        """Or the engine is slower on x86 without AVX-VNNI: CXR_LIGHT in src/kernels/kernels.h."""
        net, _ = cxrm.read(str(SHIPPED))
        weights = [c.weight for c in net.convolutions if c.opcode == POINTWISE]
        self.assertEqual(len(weights), 34)
        for weight in weights:
            fours = np.abs(weight.astype(int)).reshape(len(weight), -1, 2, 2, 2).sum(axis=(2, 4))
            self.assertLessEqual(fours.max(), LIGHT)

    def test_chosen_scales_change_the_logits_less_than_those_that_clamp_nothing(self) -> None:
        films = samples()
        x = torch.from_numpy(films).unsqueeze(1).float() / 255
        net = float_net(films)
        quant = QuantNet(net).eval()

        def change() -> float:
            with torch.no_grad():
                return (quant(x) - net(x))[:, :4].square().mean().item()

        for group in first_scales(quant, films):
            for tensor in group.tensors:
                quant.set_scale(tensor, group.scale, group.zero_point)
        quant.rounding(True)
        first = change()
        quant = QuantNet(net).eval()
        calibrate_scales(quant, films)
        self.assertLess(change(), first / 2)

    def test_training_goes_on_from_the_model_file(self) -> None:
        films = samples()
        net = float_net(films)
        expected = cxrm.read(str(SHIPPED))[0].logits(films)
        found = logits_of(net, films)
        np.testing.assert_array_equal(found[:, :4].argmax(1), expected[:, :4].argmax(1))
        error = np.abs(found - expected)  # one of the two rounds, and cuts off what lies far out
        self.assertLess(np.median(error[:, :4]), 0.3)
        self.assertLess(np.median(error[:, 4]), 1)  # of scores around 10

    def test_golden_vectors_belong_to_the_shipped_model(self) -> None:
        net, _ = cxrm.read(str(SHIPPED))
        outputs, name = {}, ""
        for line in (GOLDEN / "engine.txt").read_text().splitlines():
            word, _, rest = line.partition(" ")
            name = rest if word == "image" else name
            if word == "outputs":
                outputs[name] = np.array([int(h, 16) for h in rest.split()], np.uint32).view(np.float32)
        for name, expected in outputs.items():
            got = net.logits(read_image(str(GOLDEN / name), INPUT)[None])[0]
            np.testing.assert_array_equal(got, expected, name)

    def test_golden_preprocessing_is_this_code(self) -> None:
        for line in (GOLDEN / "preprocess.txt").read_text().splitlines():
            source, expected = line.split()
            np.testing.assert_array_equal(read_image(str(GOLDEN / source)),
                                          np.asarray(Image.open(GOLDEN / expected)), source)
        self.assertEqual(len(golden.preprocess_images()), len((GOLDEN / "preprocess.txt").read_text().splitlines()))


class Figures(unittest.TestCase):
    def test_what_the_engine_could_not_read_is_wrong_whatever_it_is(self) -> None:
        for label in range(4):
            answers = _answers([{"error": "corrupt"}])
            answers.unread_are_wrong(np.array([label]))
            self.assertNotEqual(answers.logits.argmax(1)[0], label)
            self.assertNotEqual(answers.probabilities.argmax(1)[0], label)

    def test_rates_and_areas_on_small_cases(self) -> None:
        labels, predicted = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 0])
        r = rates(confusion(labels, predicted, 2))
        np.testing.assert_allclose(r["recall"], [1 / 2, 2 / 3])
        np.testing.assert_allclose(r["precision"], [1 / 2, 2 / 3])
        scores, positive = np.array([0.9, 0.8, 0.7, 0.7]), np.array([True, False, True, False])
        self.assertAlmostEqual(roc_curve(scores, positive)[2], 0.625)  # pairs won: 1 + 0.5 + 1 + 0 of 4
        self.assertAlmostEqual(pr_curve(scores, positive)[2], 0.5 * 1 + 0.5 * 0.5)

    def test_calibration_error_of_a_known_case(self) -> None:
        p = np.array([[0.9, 0.1]] * 10)
        labels = np.array([0] * 7 + [1] * 3)
        self.assertAlmostEqual(reliability(p, labels)[1], 0.2)

    def test_intervals_are_those_of_the_binomial(self) -> None:
        labels = np.repeat(np.arange(4), (400, 300, 200, 100))
        predicted = np.where(np.arange(1000) % 10 == 0, (labels + 1) % 4, labels)
        found = bootstrap(labels, predicted, 4, PUBLISHED)
        for got, count in [(found["accuracy"], 1000), *zip(found["recall"].T, (400, 300, 200, 100))]:
            half = 1.96 * (0.9 * 0.1 / count) ** 0.5
            np.testing.assert_allclose(got, (0.9 - half, 0.9 + half), atol=half / 5)

    def test_resamples_without_a_class_say_nothing_of_it(self) -> None:
        labels = np.repeat(np.arange(4), (50, 50, 50, 1))
        found = bootstrap(labels, labels, 4, PUBLISHED)
        for name in ("recall", "f1", "macro_f1", "reweighted"):
            np.testing.assert_allclose(found[name], 1, err_msg=name)

    def test_risk_and_coverage_of_a_known_case(self) -> None:
        p = np.array([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])  # from sure to unsure: 1, 2, 3, 0
        coverage, accuracy = risk_coverage(p, np.array([0, 0, 0, 0]))
        np.testing.assert_allclose(coverage, [0.25, 0.5, 0.75, 1])
        np.testing.assert_allclose(accuracy, [1, 1 / 2, 2 / 3, 3 / 4])

    def test_refusals_are_shares_of_what_was_read(self) -> None:
        from evaluate import _refusals
        line = {"classes": [{"logit": 0, "probability": 0.25}] * 4, "warnings": [], "verdict": "normal"}
        lines = [{**line, "gate": {"score": 0, "accepted": accepted}} for accepted in (True, False)]
        answers = _answers([*lines, {"error": "corrupt"}])
        self.assertEqual(_refusals(answers), {"images": 2, "unread": 1, "refused": 0.5, "righted": 0})

    def test_the_doubt_threshold_keeps_the_risk(self) -> None:
        p = np.repeat([[0.952, 0.016, 0.016, 0.016], [0.602, 0.2, 0.1, 0.098]], 200, axis=0)
        labels = np.where(np.arange(400) % 5 == 4, 1, 0) * (np.arange(400) >= 200)  # of the unsure, a fifth is wrong
        found = doubt_threshold(p, labels)
        self.assertTrue(found["bounded"])
        self.assertAlmostEqual(found["threshold"], 0.605)
        self.assertEqual((found["coverage"], found["accuracy"]), (0.5, 1))

    def test_where_no_risk_is_bounded_nothing_is_answered(self) -> None:
        found = doubt_threshold(np.tile([1.0, 0, 0, 0], (12, 1)), np.zeros(12, int))
        self.assertEqual((found["bounded"], found["coverage"]), (False, 0))
        self.assertGreater(np.float32(found["threshold"]), np.float32(1))

    def test_no_mistakes_do_not_make_sure_without_bound(self) -> None:
        labels = np.arange(12) % 4
        scale, _ = fit_calibration(5 * np.eye(4)[labels], labels, False)
        self.assertLess(scale, 2)

    def test_the_card_is_what_its_program_writes(self) -> None:
        reports = [json.loads((ROOT / "model" / "reports" / f"{name}.json").read_text())
                   for name in ("evaluation", "explain", "training")]
        self.assertEqual(card.card(*reports, SHIPPED), (ROOT / "model" / "CARD.md").read_text())

    def test_of_too_few_films_no_risk_is_promised(self) -> None:
        for films, bounded in ((75, False), (76, True)):  # (1 - 3%)^76 is below 10%
            p = np.tile([0.97, 0.01, 0.01, 0.01], (films, 1))
            self.assertEqual(doubt_threshold(p, np.zeros(films, int))["bounded"], bounded)

    def test_operating_points_hold_for_what_is_at_and_above_them(self) -> None:
        from calibrate import operating_points
        labels = np.repeat(np.arange(4), 100)
        p = np.random.default_rng(0).dirichlet(np.ones(4), 400).astype(np.float32)
        points = operating_points(p, labels)
        for c in range(4):
            self.assertGreaterEqual((p[labels == c, c] >= np.float32(points["sens95"][c])).mean(), 0.95)
            self.assertGreaterEqual((p[labels != c, c] < np.float32(points["spec95"][c])).mean(), 0.95)

    def test_external_images_that_are_known_are_left_out(self) -> None:
        from evaluate import unknown
        rng = np.random.default_rng(0)
        images = [np.kron(rng.integers(0, 255, (8, 8)), np.ones((28, 28))).astype(np.uint8) for _ in range(3)]
        with tempfile.TemporaryDirectory() as folder:
            for name, image in zip("abc", images):
                Image.fromarray(image).resize((300, 300)).save(f"{folder}/{name}.png")
            rows = [{"file": f"{name}.png"} for name in "abcb"]
            kept = unknown(rows, folder, np.stack(images[:1]))
        self.assertEqual([row["file"] for row in kept], ["b.png", "c.png"])

    def test_binomial_bound(self) -> None:
        self.assertAlmostEqual(binomial_upper(0, 100), 1 - 0.1 ** (1 / 100), places=6)


if __name__ == "__main__":
    unittest.main()
