#!/usr/bin/env python3
"""Classifies a list of images on the workers of a Dask scheduler.

    dask-scheduler                                                    on one machine
    dask-worker tcp://HOST:8786 --nworkers auto --nthreads 1          on each machine
    dask_classify.py LIST OUT --scheduler tcp://HOST:8786             from anywhere

LIST, OUT and the guarantees are those of partition.py. A worker that dies loses the part it was at; another does it. Exit
status 0: every path has its line; 1: some parts failed, and the same command tries them once more.
"""
import os
import sys
import time

import partition
from distributed import Client, as_completed


def main() -> int:
    parser = partition.arguments("Classifies a list of images on the workers of a Dask scheduler.")
    parser.add_argument("--scheduler", required=True, metavar="ADDRESS", help="such as tcp://HOST:8786")
    options = parser.parse_args()
    command = [options.command]
    os.makedirs(options.out, exist_ok=True)
    parts = partition.parts_of(partition.read_list(options.list), options.size, command)
    left = [part for part in parts if not os.path.exists(os.path.join(options.out, part.name))]
    print(f"{len(parts)} parts, {len(parts) - len(left)} of them done", flush=True)
    return 1 if run(left, os.path.abspath(options.out), command, options.scheduler) else 0


def run(parts, out: str, command, scheduler: str) -> int:
    """Classifies parts; returns how many failed."""
    failed = images = 0
    start = time.monotonic()
    with Client(scheduler) as client:
        client.upload_file(partition.__file__)
        futures = client.map(partition.run_part, parts, out=out, command=command, key=[part.name for part in parts], pure=False, retries=2)
        numbers = {future.key: part for future, part in zip(futures, parts)}
        for future in as_completed(futures):
            part = numbers[future.key]
            if future.status == "finished":
                images += len(part.paths)
            else:
                failed += 1
                print(f"part {part.number}: {future.exception()}", file=sys.stderr)
            print(f"\r{images} images, {images / (time.monotonic() - start):.1f} a second", end="", flush=True)
            future.release()
    print()
    return failed


if __name__ == "__main__":
    sys.exit(main())
