"""The rules and figures that evaluate.py's tables are made of."""
from __future__ import annotations

import sys
import unittest
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "model"))

from evaluation import evidence  # noqa: E402


class Evidence(unittest.TestCase):
    def setUp(self) -> None:
        self.lungs = np.zeros((1, 8, 8), np.float32)
        self.opacities = np.zeros((1, 4, 4), np.float32)

    def test_a_cell_is_inside_by_the_mean_of_its_lungs_cells_or_a_neighbours(self) -> None:
        self.lungs[0, 2:4, 2:4] = [[1, 1], [0, 0]]
        wanted = np.zeros((4, 4), bool)
        for row, column in ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2)):
            wanted[row, column] = True
        np.testing.assert_array_equal(evidence.inside(self.lungs, 0.5)[0], wanted)
        self.assertFalse(evidence.inside(self.lungs, 0.51).any())

    def test_edges_do_not_wrap_around(self) -> None:
        self.lungs[0, :2, :2] = 1
        np.testing.assert_array_equal(np.argwhere(evidence.inside(self.lungs, 0.5)[0]), [(0, 0), (0, 1), (1, 0)])

    def test_what_lies_outside_counts_for_nothing(self) -> None:
        self.lungs[0, :2, :2] = 1
        self.opacities[0, 3, 3], self.opacities[0, 0, 1] = 0.9, 0.4
        self.assertAlmostEqual(float(evidence.largest_inside(self.lungs, self.opacities, 0.5)[0]), 0.4)
        self.assertEqual(evidence.largest_inside(0 * self.lungs, self.opacities, 0.5)[0], 0)

    def test_lungs_over_more_than_a_third_of_an_edge_are_cut(self) -> None:
        self.lungs[0, :2, 0] = 0.5
        self.assertFalse(evidence.cut_sides(self.lungs, 0.5).any())
        self.lungs[0, 2, 0] = 0.5
        np.testing.assert_array_equal(evidence.cut_sides(self.lungs, 0.5), [[False, False, True, False]])
        self.assertAlmostEqual(float(evidence.lungs_share(self.lungs, 0.5)[0]), 3 / 64)


if __name__ == "__main__":
    unittest.main()
