"""Manifests, splits and images of a data set."""
from __future__ import annotations

import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import made_up
import numpy as np
from PIL import Image

from dataset.folder import (read_bacterial, read_boxes, read_classes, read_manifest, read_negatives, read_siim)
from dataset.images import Images, Sets, load_images, load_sets, negatives_of, read_mask
from dataset.kaggle import clusters_of, near_pairs, perceptual_hash, split_clusters
from dataset.preprocess import INPUT, canonical, resize
from dataset.records import (CLASS_IDS, COVID, NEGATIVE, NO_CLASS, NORMAL, OPACITY, Record, balanced_part, check_classes,
                             check_splits)
from files import DataError, run_in_sentences

COLUMNS = "id,file,class,split,cluster,source,age_group,reading,boxes"


def record(label: int = 0, split: str = "train", **given: object) -> Record:
    """With fields that no test looks at."""
    return Record(**{"id": "a", "path": "a.png", "label": label, "split": split, "cluster": "1", "source": "", "age_group": "",
                     **given})


def no_images() -> Images:
    return Images(np.empty((0, INPUT, INPUT), np.uint8), np.empty((0, 4)), [])


class Folder(unittest.TestCase):
    """Each test's own folder."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def manifest(self, name: str, *lines: str) -> str:
        path = self.root / name / "manifest.csv"
        path.parent.mkdir(parents=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return str(path)


class Splits(unittest.TestCase):
    def test_near_duplicates_stay_together(self) -> None:
        rng = np.random.default_rng(0)
        images = [made_up.image(i % 4, rng) for i in range(24)]
        copy = np.clip(images[5].astype(int) + 3, 0, 255).astype(np.uint8)
        hashes = np.stack([perceptual_hash(resize(i, 224)) for i in [*images, copy]])
        clusters = clusters_of(len(hashes), near_pairs(hashes))
        self.assertEqual(clusters[24], clusters[5])
        self.assertEqual(len(set(clusters)), 24)
        classes = [("Normal", "COVID", "Viral_Pneumonia", "Lung_Opacity")[i % 4] for i in range(24)] + ["COVID"]
        paths = [f"{name}/{i}.png" for i, name in enumerate(classes)]
        splits = split_clusters(classes, clusters, paths)
        self.assertEqual(splits[24], splits[5])
        self.assertEqual(set(splits), {"train", "val", "test"})
        self.assertEqual(splits, split_clusters(classes, clusters, paths))

    def test_more_images_move_none_of_those_that_are_there(self) -> None:
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
        records = [record(split=split, cluster="7") for split in ("train", "test")]
        self.assertRaisesRegex(DataError, "in both train and test", check_splits, records)

    def test_a_class_must_be_in_every_split(self) -> None:
        records = [record(label, split) for label in range(4) for split in ("train", "val", "test")]
        check_classes(records)
        self.assertRaisesRegex(DataError, "Lung_Opacity has no images in the split test", check_classes, records[:-1])
        self.assertRaisesRegex(DataError, "Lung_Opacity has no images", check_classes, records[:9])

    def test_a_balanced_part_keeps_the_shares(self) -> None:
        labels = np.repeat(np.arange(4), (400, 300, 200, 100))
        part = balanced_part(labels, 100)
        self.assertEqual(np.bincount(labels[part]).tolist(), [40, 30, 20, 10])
        np.testing.assert_array_equal(balanced_part(labels, 1000), np.arange(1000))


class Manifests(Folder):
    def test_readings_and_boxes_of_the_classes(self) -> None:
        rows = ("a,a.png,COVID,train,1,s,child,typical,.1 .2 .3 .4;0.5 0.5 .25 .25", "b,b.png,COVID,train,2,s,,negative,",
                "c,c.png,Normal,train,3,s,,,", "d,d.png,Lung_Opacity,val,4,s,,,")
        path = self.manifest("crd", COLUMNS, *rows)
        boxed, contradicted, normal, unknown = read_manifest(path, str(self.root))
        self.assertEqual(boxed.boxes, ((0.1, 0.2, 0.3, 0.4), (0.5, 0.5, 0.25, 0.25)))
        self.assertEqual((contradicted.boxes, normal.boxes, unknown.boxes), ((), (), None))
        self.assertEqual([r.contradicts for r in (boxed, contradicted, normal, unknown)], [False, True, False, False])
        self.assertEqual((boxed.label, boxed.age_group, contradicted.age_group), (COVID, "child", "unknown"))
        self.assertEqual([r.id for r in read_classes(str(self.root), "unused")], list("abcd"))

    def test_readings_of_siim_become_classes(self) -> None:
        made_up.make_others(self.root)
        records = read_siim(str(self.root))
        self.assertEqual({r.reading: r.label for r in records},
                         {"typical": COVID, "negative": NORMAL, "indeterminate": OPACITY, "atypical": OPACITY})
        for r in records:
            self.assertEqual(r.boxes, () if r.reading == "negative" else (made_up.BOX,))

    def test_children_have_no_class_and_masks_of_one_convention(self) -> None:
        self.manifest("bacterial", "id,file,split,patient", "a,a.png,train,p", "b,b.png,val,")
        self.manifest("lungs", "id,mask,convention", "a,lungs/a.png,darwin (heart included)", "b,lungs/b.png,without heart")
        a, b = read_bacterial(str(self.root))
        self.assertEqual((a.label, a.boxes, a.cluster, b.cluster), (NO_CLASS, None, "p", "b"))
        self.assertEqual((a.mask, b.mask), (str(self.root / "lungs" / "a.png"), ""))

    def test_folders_that_are_not_there_are_empty(self) -> None:
        for read in (read_siim, read_bacterial, read_negatives):
            self.assertEqual(read(str(self.root)), [])

    def test_boxes_need_four_numbers(self) -> None:
        self.assertEqual(read_boxes(""), ())
        for text, part in ((".1 .2 .3 .4;.1 .2 .3", ".1 .2 .3"), ("a b c d", "a b c d")):
            self.assertRaisesRegex(DataError, f"needs x, y, width and height: '{part}'", read_boxes, text)

    def test_a_name_in_a_manifest_may_be_any_bytes(self) -> None:
        path = self.root / "manifest.csv"
        path.write_bytes(b"id,file,class,split,cluster,source\n\xff,\xff.png,COVID,train,1,\xed\n")
        records = read_manifest(str(path), str(self.root))
        self.assertEqual((records[0].id, records[0].source), ("\\xff", "\\xed"), "text for any report")
        self.assertEqual(os.fsencode(records[0].path), os.fsencode(str(self.root)) + b"/\xff.png")
        sets = Sets(Images(np.zeros((1, 2, 2), np.uint8), np.zeros((1, 4)), records), no_images(), no_images(), no_images())
        self.assertEqual(len(sets.fingerprint()), 64)

    def test_a_row_that_no_step_would_use_is_an_error(self) -> None:
        for number, (row, message) in enumerate((("a,a.png,COVID,Train,1", "split 'Train', which is not one of train, val, test"),
                                                 ("a", "has a row that is too short"),
                                                 ("a,a.png,Covid,train,1", "names an unknown class: 'Covid'"))):
            path = self.manifest(str(number), f"\ufeff{COLUMNS[:27]}", row)  # with the mark that Excel writes
            self.assertRaisesRegex(DataError, message, read_manifest, path, str(self.root))

    def test_a_manifest_without_a_column_is_an_error(self) -> None:
        self.manifest("negatives", "file,split", "a.png,train")
        self.assertRaisesRegex(DataError, "lacks a column .*'kind'", read_negatives, str(self.root))

    def test_some_training_negatives_are_kept_for_choices(self) -> None:
        self.manifest("negatives", "file,kind,split", *(f"{i}.png,photo,{'train' if i < 400 else 'test'}" for i in range(500)))
        records = read_negatives(str(self.root))
        self.assertTrue(all(r.label == NEGATIVE for r in records))
        self.assertEqual(sum(r.split == "test" for r in records), 100)
        self.assertAlmostEqual(sum(r.split == "val" for r in records), 40, delta=15)


class Loading(Folder):
    def save(self, image: np.ndarray, name: str = "image.png") -> str:
        path = str(self.root / name)
        Image.fromarray(image).save(path)
        return path

    def test_images_come_canonical_with_their_frames_also_from_the_cache(self) -> None:
        image = np.pad(made_up.image(0, np.random.default_rng(0)), ((0, 32), (0, 0)))
        records = [record(path=self.save(image))]
        for _ in range(2):
            images, problems = load_images(records, str(self.root))
            np.testing.assert_array_equal(images.pixels[0], canonical(image)[0])
            np.testing.assert_allclose(images.frames, [[0, 0, 1, 0.75]])
            self.assertEqual((images.records, problems), (records, []))
        with mock.patch("dataset.images.read_gray", side_effect=AssertionError("the cache is not used")):
            load_images(records, str(self.root))
            with mock.patch("dataset.images.RULE", 3):
                self.assertRaises(AssertionError, load_images, records, str(self.root))

    def test_a_file_is_read_once_it_may_be(self) -> None:
        path = self.root / "image.png"
        path.touch()
        records = [record(path=str(path))]
        with (mock.patch("dataset.images.os.access", return_value=False),
              mock.patch("dataset.images.read_gray", side_effect=PermissionError)):
            self.assertEqual(len(load_images(records, str(self.root))[1]), 1)
        with (mock.patch("dataset.images.os.access", return_value=True),
              mock.patch("dataset.images.read_gray", return_value=np.zeros((40, 40), np.uint8))):
            for _ in range(2):
                self.assertEqual(len(load_images(records, str(self.root))[0]), 1)
        self.assertEqual(len(list(self.root.glob("*.npz"))), 1, "no old ones are left")

    def test_a_mask_is_read_over_the_frame(self) -> None:
        mask = np.zeros((112, 112), np.uint8)
        mask[28:56, 56:84] = 255
        mask_path = self.save(mask)
        whole = read_mask(record(mask=mask_path), np.array([0, 0, 1, 1]), 4)
        np.testing.assert_allclose(whole, np.eye(4)[1][:, None] * np.eye(4)[2][None])
        part = read_mask(record(mask=mask_path), np.array([0.5, 0, 0.5, 0.5]), 4)
        np.testing.assert_allclose(part, [[0] * 4] * 2 + [[1, 1, 0, 0]] * 2)

    def test_all_sets_of_a_training(self) -> None:
        made_up.make_others(made_up.make(self.root / "data", each=6))
        sets = load_sets(str(self.root / "data"), str(self.root))
        self.assertEqual([len(part) for part in (sets.classes, sets.siim, sets.bacterial, sets.negatives)], [24, 28, 7, 6])
        self.assertEqual(sum(bool(r.mask) for r in sets.classes.records), 6)
        self.assertEqual({r.label for r in sets.classes.records}, set(range(len(CLASS_IDS))))
        self.assertEqual(len(sets.siim.split("val")), 4)
        quick = load_sets(str(self.root / "data"), str(self.root), quick=True)
        self.assertEqual(quick.fingerprint(), sets.fingerprint(), "there are fewer images than a slice has")
        first = sets.digest()
        sets.siim.pixels[0, 0, 0] ^= 1
        self.assertNotEqual(sets.digest(), first)

    def test_negatives_are_those_of_the_split_and_made_from_its_images(self) -> None:
        pixels = np.broadcast_to(np.arange(8, dtype=np.uint8).reshape(-1, 1, 1) * 30, (8, 24, 24)).copy()
        classes = Images(pixels, np.zeros((8, 4)), [record(i % 4, "val" if i % 2 else "train") for i in range(8)])
        negatives = Images(pixels[:2] + 5, np.zeros((2, 4)), [record(NEGATIVE, split, source="photo") for split in ("val", "test")])
        images, kinds = negatives_of(classes, negatives, "val", 5)
        self.assertEqual((len(images), kinds[0], (kinds == "made: upside-down").sum()), (36, "photo", 5))
        self.assertLessEqual(set(images[kinds == "made: upside-down"].ravel()), set(pixels[1::2].ravel()))


class Files(unittest.TestCase):
    def test_a_full_disk_ends_a_program_with_a_sentence(self) -> None:
        with self.assertRaises(SystemExit) as end:
            run_in_sentences(mock.Mock(side_effect=OSError(28, "No space left on device", "last.pt")))
        self.assertRegex(str(end.exception), r"could not be read or written: .*No space left on device: 'last.pt'\.$")


if __name__ == "__main__":
    unittest.main()
