"""Checks a data set, decodes its images into the cache, counts them, and writes the report on the data."""
from __future__ import annotations

import argparse

from dataset.images import load_sets
from dataset.records import CACHE
from evaluation import eda
from files import run_in_sentences


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="data set folder")
    parser.add_argument("--report", help="folder for eda.md and its plots")
    parser.add_argument("--cache", default=CACHE, help="manifest, decoded images, sample grid")
    args = parser.parse_args()
    sets = load_sets(args.data, args.cache)
    print(eda.summary(sets))
    if args.report:
        eda.write_report(sets, args.report, args.cache)


if __name__ == "__main__":
    run_in_sentences(main)
