"""The float network, its losses, its first outline of the lungs, and the training loop with its checkpoints."""
from __future__ import annotations

import math
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import made_up
import numpy as np
import torch
from PIL import Image

from dataset.batches import Batch
from dataset.images import Images, Sets
from dataset.preprocess import INPUT, canonical
from dataset.records import CLASSES, COVID, NEGATIVE, NORMAL
from files import DataError
from network import tflite
from network.losses import MAPS_WARM_UP, class_loss, lungs_loss, opacities_loss, training_loss
from network.lungs import GRID, fit_lungs, lungs_of
from network.mobilenet import OUTPUTS, Folded, Net, branch_keys, fold, layers, load_float, load_folded
from network.trainer import (NEW_RATE, WEIGHT_DECAY, Budget, Fit, Origin, Recipe, auc, climb, learning_rate, optimiser_for,
                             outputs_of, pointing, save_atomically, scores, update_average)
from test_dataset import no_images, record
from train import open_reach, start, start_file, taught_by

SIDE = 64  # of images in tests of the network: its convolutions take any multiple of 32


def batch_of(n: int = 4, **given: torch.Tensor) -> Batch:
    """Images without content that teach the first class."""
    wanted = torch.zeros(n, CLASSES)
    wanted[:, 0] = 1
    images = torch.zeros(n, 1, SIDE, SIDE)
    fields = dict(images=images, before=images, labels=torch.zeros(n, dtype=torch.long), wanted=wanted,
                  weight=torch.ones(n), whole=torch.ones(n, dtype=torch.bool), opacities=torch.zeros(n, 12, 12),
                  opacities_weight=torch.zeros(n), present=torch.zeros(n), present_weight=torch.zeros(n),
                  lungs=torch.zeros(n, 24, 24), lungs_weight=torch.zeros(n))
    return Batch(**{**fields, **given})


def images_of(count: int, **given: object) -> Images:
    """Made-up images of the four classes in turn, all of train."""
    rng = np.random.default_rng(0)
    pixels = np.stack([canonical(made_up.image(i % 4, rng))[0] for i in range(count)])
    return Images(pixels, np.tile([0.0, 0, 1, 1], (count, 1)), [record(i % 4, id=str(i), **given) for i in range(count)])


class Network(unittest.TestCase):
    def test_one_pass_gives_logits_and_two_maps(self) -> None:
        with torch.no_grad():
            outputs = Net().eval()(torch.rand(2, 1, INPUT, INPUT))
        self.assertEqual([tuple(o.shape) for o in outputs], [(2, OUTPUTS), (2, 24, 24), (2, 12, 12)])
        self.assertLess(outputs.lungs.std(), 1e-6, "the maps' last layers start from nothing")
        torch.testing.assert_close(outputs.opacities, torch.full((2, 12, 12), -3.0))

    def test_fixed_statistics_compute_what_the_normalisations_do(self) -> None:
        torch.manual_seed(0)
        net = Net(dropout=0, fixed=True)
        for layer in layers(net):  # as if trained
            layer.bn.running_mean.normal_(0, 0.1)
            layer.bn.running_var.uniform_(0.5, 2)
        x = torch.rand(2, 1, SIDE, SIDE)
        folded = net.train()(x).logits
        for layer in layers(net):
            layer.bn.eval().training = True  # take the other way, with the same statistics
            layer.bn.forward = lambda t, bn=layer.bn: torch.nn.functional.batch_norm(
                t, bn.running_mean, bn.running_var, bn.weight, bn.bias, False, 0, bn.eps)
        torch.testing.assert_close(net(x).logits, folded, atol=1e-4, rtol=1e-4)

    def test_a_folded_network_computes_the_same_with_new_normalisations(self) -> None:
        torch.manual_seed(0)
        source, target = Net(dropout=0).eval(), Net(dropout=0, fixed=True)
        with torch.no_grad():
            for layer in layers(source):
                layer.bn.bias.normal_(0, 0.1)
            x = torch.rand(4, 1, SIDE, SIDE)
            expected = source.features(x)
            load_folded(target, [fold(layer) for layer in layers(source)], x)
            found = target.train().features(x)
        for a, b in zip(found, expected):
            torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-3)
        wrong = [Folded(torch.zeros(3, 1, 3, 3), torch.zeros(3))]
        self.assertRaisesRegex(DataError, "where .* is expected", load_folded, target, wrong, x)

    def test_the_maps_gradients_reach_the_backbone_by_and_by(self) -> None:
        torch.manual_seed(0)
        net = Net(dropout=0, fixed=True).train()
        torch.nn.init.ones_(net.opacities.to_map.weight)

        def gradient(step: int) -> float:
            open_reach(net, step)
            net.zero_grad()
            net(torch.rand(2, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(1))).opacities.sum().backward()
            return net.stem.conv.weight.grad.norm().item()

        full = gradient(MAPS_WARM_UP)
        self.assertGreater(full, 0)
        self.assertAlmostEqual(gradient(MAPS_WARM_UP // 2) / full, 0.25, places=3)
        self.assertAlmostEqual(gradient(10 * MAPS_WARM_UP) / full, 1, places=5)
        self.assertEqual(gradient(0), 0)

    def test_a_checkpoint_from_before_the_maps_still_loads(self) -> None:
        net = Net()
        torch.nn.init.ones_(net.head.bias)
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "old.pt")
            torch.save({"average": {k: v for k, v in net.state_dict().items() if k not in branch_keys(net)}}, path)
            loaded = load_float(path)
            self.assertEqual(loaded.head.bias.tolist(), [1] * OUTPUTS)
            self.assertEqual(loaded.opacities.to_map.bias.item(), -3)
            torch.save({"average": {"head.bias": net.head.bias}}, path)
            self.assertRaisesRegex(DataError, "not a sound checkpoint", load_float, path)

    def test_weights_that_are_not_quantised_are_refused(self) -> None:
        tensor = mock.Mock(**{"table.return_value": None})
        self.assertRaisesRegex(ValueError, "not quantised", tflite._dequantise, tensor, [])


class Losses(unittest.TestCase):
    def test_a_class_is_learned_by_weight_and_the_gate_from_whole_images(self) -> None:
        logits = torch.zeros(4, OUTPUTS)
        logits[:, :CLASSES] = torch.tensor([[0.0, 9, 9, 9], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
        batch = batch_of(weight=torch.tensor([0.0, 1, 1, 0.5]), whole=torch.tensor([True, True, False, True]),
                         labels=torch.tensor([0, 0, 0, NEGATIVE]))
        self.assertAlmostEqual(class_loss(logits, batch).item(), math.log(4) + 0.3 * math.log(2), places=5)
        logits[2, CLASSES] = 15.0  # its gate is not asked
        self.assertAlmostEqual(class_loss(logits, batch).item(), math.log(4) + 0.3 * math.log(2), places=5)
        logits[3, CLASSES] = 15.0  # a negative that looks like a chest X-ray
        self.assertAlmostEqual(class_loss(logits, batch).item(), math.log(4) + 0.3 * (2 * math.log(2) + 15) / 3, places=4)

    def test_a_batch_of_which_no_class_is_known_teaches_none(self) -> None:
        logits = torch.randn(4, OUTPUTS, requires_grad=True)
        class_loss(logits, batch_of(weight=torch.zeros(4), whole=torch.zeros(4, dtype=torch.bool))._replace(
            whole=torch.tensor([True, False, False, False]))).backward()
        self.assertEqual(logits.grad[:, :CLASSES].abs().max(), 0)

    def test_lungs_are_learned_where_there_is_a_mask(self) -> None:
        wanted = torch.zeros(2, 24, 24)
        wanted[:, 4:20, 4:20] = 1
        right = 40 * wanted - 20
        self.assertLess(lungs_loss(right, wanted, torch.ones(2)).item(), 1e-3)
        self.assertGreater(lungs_loss(-right, wanted, torch.ones(2)).item(), 20)
        self.assertLess(lungs_loss(torch.stack([right[0], -right[1]]), wanted, torch.tensor([1.0, 0])).item(), 1e-3)

    def test_opacities_are_learned_from_boxes_or_somewhere_in_the_lungs(self) -> None:
        boxes = torch.zeros(2, 12, 12)
        boxes[0, :3, :3] = 1
        seen = batch_of(2, opacities=boxes, opacities_weight=torch.tensor([1.0, 0.4]))
        self.assertLess(opacities_loss(40 * boxes - 20, seen).item(), 1e-6)
        missed = torch.full((2, 12, 12), -20.0)
        beside = 0.1 * math.log(144 / 9)  # no cell stands out
        self.assertAlmostEqual(opacities_loss(missed, seen).item(), 2 * 20 * 9 / 144 / 1.4 + beside, places=4)
        unseen = batch_of(2, present=torch.tensor([1.0, 0]), present_weight=torch.tensor([0.5, 0]))
        self.assertAlmostEqual(opacities_loss(missed, unseen).item(), 0.2 * 20, places=4)
        missed[0, 5, 5:9] = 20
        self.assertLess(opacities_loss(missed, unseen).item(), 1e-6)
        clear = batch_of(2, present_weight=torch.tensor([0.4, 0]))
        self.assertAlmostEqual(opacities_loss(missed, clear).item(), 0.2 * 20, places=4)

    def test_all_outputs_are_learned_and_bounded(self) -> None:
        batch = batch_of(opacities_weight=torch.ones(4), lungs_weight=torch.ones(4))
        net = Net(dropout=0)
        outputs = net(torch.rand(4, 1, INPUT, INPUT))
        training_loss(outputs, batch).backward()
        for layer in (net.head, net.lungs.to_fine, net.lungs.to_coarse, net.opacities.to_map):
            self.assertGreater(layer.weight.grad.abs().max(), 0)
        calm = training_loss(outputs, batch)
        wild = training_loss(outputs._replace(lungs=outputs.lungs - 40), batch._replace(lungs_weight=torch.zeros(4)))
        self.assertGreater(wild.item(), calm.item() - 1)
        self.assertGreater(wild.item(), training_loss(outputs, batch._replace(lungs_weight=torch.zeros(4))).item() + 0.15)


class Lungs(unittest.TestCase):
    def test_the_first_outline_is_learned_from_masks_alone(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            mask = str(Path(folder) / "mask.png")
            Image.fromarray((255 * made_up.lungs(112)).astype(np.uint8)).save(mask)
            torch.manual_seed(0)
            net = Net(fixed=True)
            sets = Sets(images_of(6, mask=mask), no_images(), no_images(), no_images())
            before = {k: v.clone() for k, v in net.state_dict().items() if not k.startswith("lungs.")}
            truth = torch.from_numpy(made_up.lungs(GRID)).float()
            features = torch.rand(12, 32, GRID, GRID), torch.rand(12, 96, GRID // 2, GRID // 2)
            features[0][:, 5] += truth  # of a backbone that knows them well
            with mock.patch("network.lungs._features", return_value=features), mock.patch("network.lungs.RATE", 0.03):
                fit_lungs(net, sets, seed=1, steps=40)
        self.assertTrue(all(torch.equal(v, net.state_dict()[k]) for k, v in before.items()), "the rest stays")
        found = net.eval().lungs(*features) > 0
        self.assertGreater(2 * (found & (truth > 0)).sum() / (found.sum() + 12 * truth.sum()), 0.9)

    def test_an_outline_of_each_image(self) -> None:
        net = Net(fixed=True)
        torch.nn.init.constant_(net.lungs.to_fine.bias, 20)
        found = lungs_of(net, np.zeros((2, INPUT, INPUT), np.uint8))
        self.assertEqual((found.shape, found.dtype, found.min()), ((2, GRID, GRID), np.uint8, 255))
        self.assertEqual(lungs_of(net, np.empty((0, INPUT, INPUT), np.uint8)).shape, (0, GRID, GRID))

    def test_without_masks_the_head_stays(self) -> None:
        net = Net(fixed=True)
        fit_lungs(net, Sets(images_of(4), no_images(), no_images(), no_images()), seed=1, steps=1)
        self.assertEqual(net.lungs.to_fine.weight.abs().max(), 0)


class Figures(unittest.TestCase):
    def test_area_under_the_curve_counts_ties_by_half(self) -> None:
        self.assertEqual(auc(np.array([1.0, 2, 3, 4]), np.array([False, False, True, True])), 1)
        self.assertEqual(auc(np.array([1.0, 1, 1]), np.array([False, True, True])), 0.5)
        self.assertAlmostEqual(auc(np.array([0.9, 0.8, 0.7, 0.7]), np.array([True, False, True, False])), 0.625)

    def test_the_pointing_game_is_played_in_the_whole_image(self) -> None:
        maps = np.zeros((3, 4, 4))
        maps[0, 1, 2] = maps[1, 1, 2] = maps[2, 0, 0] = 1
        frames = np.array([[0, 0, 1, 1], [0.5, 0, 0.5, 1], [0, 0, 1, 1]], float)
        records = [record(boxes=((0.5, 0.25, 0.25, 0.25),)), record(boxes=((0.5, 0.25, 0.25, 0.25),)), record(boxes=())]
        self.assertEqual(pointing(maps, Images(np.zeros((3, 4, 4)), frames, records)), 0.5)

    def test_both_collections_count_alike_and_contradicted_images_do_not(self) -> None:
        def answers(pixels: np.ndarray) -> tuple:
            logits = np.eye(OUTPUTS, dtype=np.float32)[pixels[:, 0, 0]] * 4
            return logits, np.zeros((len(pixels), 24, 24)), np.repeat(pixels[:, :1, :1] == COVID, 12, 1).repeat(12, 2) * 1.0

        def images(levels: list[int], records: list) -> Images:
            pixels = np.broadcast_to(np.array(levels, np.uint8).reshape(-1, 1, 1), (len(levels), 4, 4)).copy()
            return Images(pixels, np.tile([0.0, 0, 1, 1], (len(levels), 1)), records)

        classes = images([0, 1, 2, 3, 0], [record(c) for c in range(4)] + [record(COVID, reading="negative")])
        siim = images([1, 0, 2], [record(COVID, reading="typical", boxes=((0, 0, 1, 1),)), record(NORMAL, reading="negative", boxes=()),
                                  record(3, reading="atypical")])
        right = scores(answers, classes, siim)
        self.assertEqual([right[k] for k in ("accuracy", "contrast_auc", "typical_covid", "negative_covid", "pointing")], [1, 1, 1, 0, 1])
        self.assertAlmostEqual(right["score"], -(right["log_loss"] + right["siim_log_loss"]) / 2 - 0.25 * (1 - right["opacity_auc"]))
        siim.pixels[:2] = siim.pixels[1::-1]
        wrong = scores(answers, classes, siim)
        self.assertEqual((wrong["accuracy"], wrong["contrast_auc"], wrong["negative_covid"]), (1, 0, 1))
        self.assertLess(wrong["score"], right["score"])
        self.assertEqual(set(scores(answers, classes, no_images())), {"accuracy", "reweighted", "opacity_f1", "refused", "score"})

    def test_the_rate_rises_and_falls(self) -> None:
        self.assertAlmostEqual(learning_rate(0.06, 1), 1)
        self.assertLess(learning_rate(0, 1), 0.06)
        self.assertAlmostEqual(learning_rate(1, 1), 0.001)
        rates = [learning_rate(p, 1) for p in np.linspace(0.06, 1, 20)]
        self.assertEqual(rates, sorted(rates, reverse=True))

    def test_a_climb_goes_uphill_by_the_size_of_each_weight(self) -> None:
        weight, bias = (torch.nn.Parameter(torch.tensor(v)) for v in ([[3.0, 0.0]], [1.0]))
        (4 * weight.sum() + 5 * bias.sum()).backward()
        before = climb([weight, bias], reach=1.3)
        self.assertEqual([b.tolist() for b in before], [[[3, 0]], [1]])
        np.testing.assert_allclose(weight.detach(), [[3 + 3 * 12 / 10, 0]], rtol=1e-6)
        np.testing.assert_allclose(bias.detach(), [1.5], rtol=1e-6)

    def test_the_average_follows_weights_and_statistics(self) -> None:
        net = torch.nn.BatchNorm1d(2)
        average = torch.nn.BatchNorm1d(2)
        with torch.no_grad():
            net.weight.fill_(3)
            net.running_mean.fill_(2)
            net.num_batches_tracked.fill_(7)
        update_average(average, net, step=8, longest=0.9)  # young: half of it is new
        self.assertEqual((average.weight[0].item(), average.running_mean[0].item(), average.num_batches_tracked.item()), (2, 1, 7))
        update_average(average, net, step=10 ** 6, longest=0.9)
        self.assertAlmostEqual(average.weight[0].item(), 2.1, places=5)

    def test_new_heads_learn_faster_and_biases_do_not_decay(self) -> None:
        net = Net()
        groups = {id(p): g for g in optimiser_for(net, 1e-3).param_groups for p in g["params"]}
        of = lambda p: (groups[id(p)]["factor"], groups[id(p)]["weight_decay"])  # noqa: E731
        self.assertEqual(of(net.head.weight), (1, WEIGHT_DECAY))
        self.assertEqual(of(net.opacities.to_map.weight), (NEW_RATE, WEIGHT_DECAY))
        self.assertEqual(of(net.lungs.fine.bn.bias), (NEW_RATE, 0))

    def test_outputs_of_many_images(self) -> None:
        outputs = outputs_of(Net(), np.zeros((3, INPUT, INPUT), np.uint8))
        self.assertEqual([o.shape for o in outputs], [(3, OUTPUTS), (3, 24, 24), (3, 12, 12)])


class Checkpoints(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def fit(self, levels: int = 0, restart: bool = False, strong: float = 0.3) -> Fit:
        pixels = np.full((4, 8, 8), levels, np.uint8)
        sets = Sets(Images(pixels, np.zeros((4, 4)), [record(i, id=str(i)) for i in range(4)]), *(no_images() for _ in range(3)))
        batches = mock.Mock(strong=strong, wanted=np.zeros(1))
        return Fit(torch.nn.Linear(1, 1), Recipe(1e-3, 0.9, mock.Mock(), mock.Mock()), Budget(0, 1, 1, 1), sets, batches,
                   str(self.folder), 1, restart, Origin("", "model", "other"))

    def test_a_failing_write_leaves_the_last_good_file(self) -> None:
        path = self.folder / "last.pt"
        save_atomically({"epoch": 1}, path)
        with (mock.patch("network.trainer.os.fsync", side_effect=OSError("No space left on device")), self.assertRaises(OSError)):
            save_atomically({"epoch": 2}, path)
        self.assertEqual(torch.load(path)["epoch"], 1)
        self.assertEqual([p.name for p in self.folder.iterdir()], ["last.pt"])

    def test_the_higher_score_is_kept(self) -> None:
        fit = self.fit()
        for score in (-0.3, -0.2, -0.25):
            torch.nn.init.constant_(fit.average.weight, score)
            fit._keep_best(fit.average, score)
        kept = torch.load(self.folder / "best.pt")
        self.assertAlmostEqual(kept["average"]["weight"].item(), -0.2)
        self.assertEqual((kept["start"], kept["seen"]), ("model", "other"))

    def test_other_images_under_the_old_names_are_another_training(self) -> None:
        self.fit()._save()
        self.fit()
        self.assertRaisesRegex(DataError, "holds a training of other data", self.fit, levels=1)
        self.assertRaisesRegex(DataError, "holds a training of other data", self.fit, strong=0.5)

    def test_beginning_anew_keeps_the_best_weights_until_there_are_others(self) -> None:
        fit = self.fit()
        fit._keep_best(fit.average, 1.0)
        fit._save()
        fit = self.fit(restart=True)
        self.assertEqual({p.name for p in self.folder.iterdir()}, {"best.pt"})
        torch.nn.init.constant_(fit.average.weight, 0.7)
        fit._keep_best(fit.average, -9.0)
        self.assertAlmostEqual(torch.load(self.folder / "best.pt")["average"]["weight"].item(), 0.7)

    def test_the_later_epochs_are_averaged(self) -> None:
        fit = self.fit()
        for progress, weight in ((0.4, 100.0), (0.5, 1.0), (0.8, 2.0), (1.0, 6.0)):
            fit.plan.progress = progress
            torch.nn.init.constant_(fit.average.weight, weight)
            fit._gather()
        fit.recipe.evaluate.side_effect = lambda net: {"score": -abs(net.weight.item() - 3)}
        fit._blend()
        for name in ("later.pt", "best.pt"):
            self.assertAlmostEqual(torch.load(self.folder / name)["average"]["weight"].item(), 3, places=6)

    def test_a_training_is_resumed_from_the_file_that_it_began_with(self) -> None:
        shipped, out = self.folder / "model.cxrm", self.folder / "train"
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

    def test_a_start_from_a_checkpoint_keeps_its_first_layers(self) -> None:
        path = str(self.folder / "best.pt")
        torch.save({"average": Net().state_dict()}, path)
        net = start(path, Sets(*(no_images() for _ in range(4))), seed=1)
        self.assertEqual([p.requires_grad for p in (net.stem.conv.weight, net.blocks[2].project.conv.weight,
                                                    net.blocks[3].project.conv.weight, net.head.weight)], [False, False, True, True])

    def test_teachers_answer_together_and_for_the_mirror_image_alike(self) -> None:
        paths = [str(self.folder / name) for name in ("a.pt", "b.pt")]
        for path in paths:
            torch.save({"average": Net().state_dict()}, path)
        pixels = np.random.default_rng(0).integers(256, size=(3, SIDE, SIDE), dtype=np.uint8)
        answers = taught_by(paths, pixels)
        np.testing.assert_allclose(answers.sum(1), 1, rtol=1e-5)
        np.testing.assert_allclose(taught_by(paths, pixels[:, :, ::-1]), answers, rtol=1e-5)
        np.testing.assert_allclose((taught_by(paths[:1], pixels) + taught_by(paths[1:], pixels)) / 2, answers, rtol=1e-5)


if __name__ == "__main__":
    unittest.main()
