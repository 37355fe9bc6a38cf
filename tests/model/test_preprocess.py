"""The canonical image, against the rule spelled out in Python integers, and reading image files."""
from __future__ import annotations

import struct
import tempfile
import unittest
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from dataset.preprocess import (INPUT, SIZE, Frame, canonical, frame_of, percentile_ends, read_gray, read_plain, resize,
                                stretched, to_gray)


def naive_ends(values: list[int]) -> tuple[int, int]:
    """The least value that more than a 200th of all do not exceed, and its mirror image."""
    n = len(values)
    low = next(v for v in sorted(values) if 200 * sum(x <= v for x in values) > n)
    return low, next(v for v in sorted(values, reverse=True) if 200 * sum(x >= v for x in values) > n)


def naive_frame(gray: np.ndarray, rounds: int = 4) -> tuple[int, int, int, int]:
    """Line by line, as src/README.md words it: top, bottom, left, right."""
    rows = [[int(v) for v in row] for row in gray]
    height, width = gray.shape
    low, high = naive_ends([v for row in rows for v in row])
    spread = high - low
    top, bottom, left, right = 0, height, 0, width

    def plain(line: list[int]) -> bool:
        n = len(line)
        return n * sum(v * v for v in line) - sum(line) ** 2 < (spread * spread * n * n + 2499) // 2500

    def row(y: int) -> list[int]:
        return rows[y][left:right]

    def column(x: int) -> list[int]:
        return [rows[y][x] for y in range(top, bottom)]

    least_height, least_width = max(32, -(-height // 4)), max(32, -(-width // 4))
    for _ in range(rounds):
        before = (top, bottom, left, right)
        while bottom - top > least_height and plain(row(top)):
            top += 1
        while bottom - top > least_height and plain(row(bottom - 1)):
            bottom -= 1
        while right - left > least_width and plain(column(left)):
            left += 1
        while right - left > least_width and plain(column(right - 1)):
            right -= 1
        if (top, bottom, left, right) == before:
            break
    return left, top, right - left, bottom - top


def naive_stretch(gray: np.ndarray) -> np.ndarray:
    low, high = naive_ends([int(v) for v in gray.ravel()])
    floor, top = (12, 255) if gray.dtype == np.uint8 else (48, 32640)
    span = max(high - low, floor)
    return np.array([[0 if v <= low else min(top, ((int(v) - low) * 2 * top + span) // (2 * span)) for v in row] for row in gray])


def bordered(inner: np.ndarray, top: int, bottom: int, left: int, right: int, level: int = 0) -> np.ndarray:
    return np.pad(inner, ((top, bottom), (left, right)), constant_values=level)


def textured(height: int, width: int, dtype: type = np.uint8, seed: int = 0) -> np.ndarray:
    """Noise over the whole scale: no line of it is plain."""
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, (height, width), dtype, endpoint=True)


class Percentiles(unittest.TestCase):
    def test_ends_leave_a_200th_out_on_either_side(self) -> None:
        for count, expected in ((199, (0, 198)), (200, (1, 198)), (400, (2, 397)), (1, (0, 0))):
            self.assertEqual(percentile_ends(np.arange(count, dtype=np.uint16).reshape(1, -1)), expected)

    def test_one_hot_pixel_does_not_count(self) -> None:
        image = np.tile(np.arange(100, 110, dtype=np.uint8), (30, 1))
        image[0, 0], image[0, 9] = 0, 255
        self.assertEqual(percentile_ends(image), (100, 109))

    def test_they_are_the_naive_ones(self) -> None:
        rng = np.random.default_rng(1)
        for dtype, top in ((np.uint8, 256), (np.uint16, 65536), (np.uint16, 4)):
            for count in (7, 199, 201, 600):
                values = rng.integers(0, top, (1, count)).astype(dtype)
                self.assertEqual(percentile_ends(values), naive_ends(values[0].tolist()))


class Frames(unittest.TestCase):
    def test_plain_edges_are_cut_and_nothing_else(self) -> None:
        inner = textured(60, 80)
        for level in (0, 120, 255):
            self.assertEqual(frame_of(bordered(inner, 7, 0, 3, 20, level)), Frame(3, 7, 80, 60))
        self.assertEqual(frame_of(inner), Frame(0, 0, 80, 60))

    def test_a_line_is_plain_below_a_fiftieth_of_the_spread_and_not_at_it(self) -> None:
        """With a spread of 100 the limit is the variance n^2 V = 10000 of a line of 50."""
        for high_pixels, cut in ((24, 1), (25, 0)):  # 4^2 * 24 * 26 = 9984 and 4^2 * 25 * 25 = 10000
            image = (np.indices((60, 50)).sum(0) % 2 * 100).astype(np.uint8)
            image[0] = [54] * high_pixels + [50] * (50 - high_pixels)
            self.assertEqual(percentile_ends(image), (0, 100))
            self.assertEqual(frame_of(image), Frame(0, cut, 50, 60 - cut))

    def test_a_frame_keeps_a_quarter_of_each_side_and_32_pixels(self) -> None:
        for height, width, least in ((200, 300, (50, 75)), (203, 97, (51, 32)), (40, 500, (32, 125))):
            image = np.zeros((height, width), np.uint8)
            image[height // 2:height // 2 + 16, width // 2:width // 2 + 30] = textured(16, 30)
            frame = frame_of(image)
            self.assertEqual(frame, naive_frame(image))
            self.assertEqual((frame.height, frame.width), least)
        small = np.zeros((30, 20), np.uint8)
        small[15, 5:] = 255
        self.assertEqual(frame_of(small), Frame(0, 0, 20, 30), "smaller than what is kept: nothing is cut")

    def test_a_flat_image_is_not_cut(self) -> None:
        self.assertEqual(frame_of(np.full((90, 80), 7, np.uint8)), Frame(0, 0, 80, 90))

    def test_rounds_go_on_while_a_cut_makes_another_line_plain_but_are_four_at_most(self) -> None:
        """Six layers of 40 rows and a column. A layer's first row has a bright end that goes with the layer before's column,
        and its column is uneven until the layer's own rows have gone."""
        image = textured(500, 60)
        image[:240], image[:, :6] = 100, 100
        for layer in range(6):
            image[40 * layer:40 * layer + 40, layer] += 25
            if layer:
                image[40 * layer, layer - 1] += 75
        rounds = [naive_frame(image, count) for count in (1, 2, 3, 4, 5)]
        self.assertEqual(rounds, [(count, 40 * count, 60 - count, 500 - 40 * count) for count in (1, 2, 3, 4, 5)])
        self.assertEqual(frame_of(image), rounds[3])

    def test_frames_are_the_naive_ones(self) -> None:
        rng = np.random.default_rng(2)
        for dtype in (np.uint8, np.uint16):
            top = np.iinfo(dtype).max
            for trial in range(12):
                image = textured(int(rng.integers(20, 70)), int(rng.integers(20, 70)), dtype, trial)
                for _ in range(rng.integers(4)):
                    noise = rng.integers(0, max(1, int(top * rng.choice([0, 0.01, 0.07, 0.1]))) + 1, image.shape)
                    y, x = np.sort(rng.integers(0, image.shape[0] + 1, 2)), np.sort(rng.integers(0, image.shape[1] + 1, 2))
                    inside = np.zeros(image.shape, bool)
                    inside[y[0]:y[1], x[0]:x[1]] = True
                    image = np.where(inside, image, (noise + int(rng.integers(top // 2))).astype(dtype))
                self.assertEqual(frame_of(image), naive_frame(image), trial)


class Stretch(unittest.TestCase):
    def test_levels_between_the_ends_fill_the_scale(self) -> None:
        image = np.arange(40, 141, dtype=np.uint8).reshape(1, -1)  # 101 levels: nothing is left out
        expected = [((v - 40) * 510 + 100) // 200 for v in range(40, 141)]
        np.testing.assert_array_equal(stretched(image)[0], expected)
        self.assertEqual((expected[0], expected[1], expected[50], expected[100]), (0, 3, 128, 255))

    def test_levels_beyond_the_ends_are_cut_off(self) -> None:
        image = np.array([[0] + [100] * 150 + [200] * 150 + [255]], np.uint8)
        self.assertEqual(stretched(image)[0, [0, 1, -2, -1]].tolist(), [0, 0, 255, 255])

    def test_a_small_range_is_not_enlarged_without_end(self) -> None:
        for dtype, floor, white in ((np.uint8, 12, 255), (np.uint16, 48, 32640)):
            for span in (1, floor - 1, floor):
                image = np.array([[70] * 50 + [70 + span] * 50], dtype)
                self.assertEqual(stretched(image)[0, -1], (span * 2 * white + floor) // (2 * floor))
            self.assertEqual(stretched(np.full((9, 9), 5, dtype)).max(), 0)

    def test_sixteen_bits_go_to_q7(self) -> None:
        image = np.array([[0, 1, 32767, 32768, 65535]], np.uint16)
        np.testing.assert_array_equal(stretched(image)[0], [0, 0, 16320, 16320, 32640])
        self.assertEqual(stretched(np.array([[1000, 1001, 5000]], np.uint16))[0].tolist(), [0, 8, 32640])

    def test_it_is_the_naive_one(self) -> None:
        rng = np.random.default_rng(3)
        for dtype in (np.uint8, np.uint16):
            for span in (3, 40, 255):
                image = (rng.integers(0, 200) + rng.integers(0, span + 1, (20, 30))).clip(0, 255).astype(dtype)
                np.testing.assert_array_equal(stretched(image), naive_stretch(image))


class Canonical(unittest.TestCase):
    def test_the_same_image_drawn_in_another_way_is_the_same(self) -> None:
        base = textured(100, 120) // 8 + 60
        expected, frame = canonical(base)
        self.assertEqual((frame, expected.shape), (Frame(0, 0, 120, 100), (INPUT, INPUT)))
        for other in (base * 2 + 10, base - 60, bordered(base, 9, 30, 0, 14), bordered(base, 40, 0, 25, 25, 255)):
            np.testing.assert_array_equal(canonical(other)[0], expected)
        wide = canonical(base.astype(np.uint16) * 16 + 300)[0].astype(int)
        self.assertLessEqual(np.abs(wide - expected).max(), 1, "rounded to 8 bits before the resize, or to 15")

    def test_the_frame_in_fractions(self) -> None:
        image = bordered(textured(60, 80), 20, 20, 5, 15)
        frame = canonical(image)[1]
        self.assertEqual(frame.fractions(*image.shape), (0.05, 0.2, 0.8, 0.6))


class Resize(unittest.TestCase):
    def test_resize_is_pillows_bicubic_within_a_level(self) -> None:
        for shape in ((299, 299), (611, 90), (100, 120), (224, 224)):
            y, x = np.mgrid[0:1:shape[0] * 1j, 0:1:shape[1] * 1j]
            image = (127 + 90 * np.sin(7 * x + 3 * y) * np.cos(5 * y)).astype(np.uint8)
            expected = np.asarray(Image.fromarray(image).resize((224, 224), Image.BICUBIC)).astype(int)
            self.assertLessEqual(np.abs(resize(image, 224) - expected).max(), 1, shape)

    def test_q7_levels_are_gray_levels_times_128(self) -> None:
        image = textured(50, 60)
        np.testing.assert_array_equal(resize(image.astype(np.int64) * 128, INPUT), resize(image, INPUT))


class Files(unittest.TestCase):
    def test_a_plain_read_scales_sixteen_bits_by_65535(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for level, expected in ((65535, 255), (257 * 100, 100), (0, 0)):
                path = str(Path(folder) / "deep.png")
                Image.fromarray(np.full((50, 60), level, np.uint16)).save(path)
                image = read_plain(path)
                self.assertEqual(image.shape, (SIZE, SIZE))
                self.assertTrue((image == expected).all())

    def test_a_transparent_gray_is_black(self) -> None:
        for dtype, key in ((np.uint8, 200), (np.uint16, 51400)):
            image = Image.fromarray(np.array([[key, key - 1]], dtype))
            image.info["transparency"] = key
            np.testing.assert_array_equal(to_gray(image), [[0, key - 1]])

    def test_colours_are_weighted_by_bt601(self) -> None:
        image = Image.fromarray(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]]], np.uint8))
        np.testing.assert_array_equal(to_gray(image), [[77, 149, 29, 9]])

    def test_orientation_is_applied(self) -> None:
        stored = np.arange(40 * 60, dtype=np.uint16).reshape(40, 60).astype(np.uint8)
        exif = Image.Exif()
        exif[0x0112] = 6  # turn clockwise to see
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "turned.png"
            Image.fromarray(stored).save(path, exif=exif)
            np.testing.assert_array_equal(read_gray(str(path)), np.rot90(stored, -1))

    def test_colours_of_sixteen_bits_are_refused(self) -> None:
        rows = b"".join(b"\0" + bytes(6 * 40) for _ in range(40))
        header = struct.pack(">IIBBBBB", 40, 40, 16, 2, 0, 0, 0)
        chunks = b"".join(struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))
                          for tag, body in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "deep.png"
            path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
            self.assertRaisesRegex(ValueError, "16 bits", read_gray, str(path))


if __name__ == "__main__":
    unittest.main()
