#!/usr/bin/env python3
"""Measures on this machine what a cluster would do: classifies a list with one and with two Dask workers, and prints a table.

    measure.py LIST >table.md

Run it on an idle machine, with some thousand images: the rate counts from the first part to the last, the start-up from the
call until the workers are there. Hours are those of all workers side by side, at that rate.
"""
import argparse
import contextlib
import re
import subprocess
import sys
import tempfile
import time

import dask_classify
import partition
from distributed import Client

MILLIONS = 1, 10, 100


def measure(workers: int, parts, command):
    """Seconds until the workers are there, and seconds for the parts."""
    start = time.monotonic()
    quiet = {"stdout": subprocess.DEVNULL}
    call = ["dask-scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    scheduler = subprocess.Popen(call, stderr=subprocess.PIPE, text=True, **quiet)
    running = [scheduler]
    try:
        address = next(found[0] for line in scheduler.stderr if (found := re.search(r"tcp://127\.0\.0\.1:\d+", line)))
        call = ["dask-worker", address, "--host", "127.0.0.1", "--nworkers", "1", "--nthreads", "1", "--no-nanny", "--no-dashboard"]
        running += [subprocess.Popen(call, stderr=subprocess.DEVNULL, **quiet) for _ in range(workers)]
        with Client(address) as client:
            client.wait_for_workers(workers)
        there = time.monotonic()
        with tempfile.TemporaryDirectory() as out, contextlib.redirect_stdout(sys.stderr):
            if dask_classify.run(parts, out, command, address):
                raise RuntimeError("some parts failed")
        return there - start, time.monotonic() - there
    finally:
        for process in reversed(running):
            process.terminate()
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures images per second with one and with two Dask workers.")
    parser.add_argument("list", metavar="LIST", help="paths of images, one a line")
    parser.add_argument("--size", type=int, default=250, help="images of a part (%(default)s)")
    parser.add_argument("--command", default="cxrlens", help="the command, such as cxrlens or its path")
    options = parser.parse_args()
    command = [options.command]
    paths = partition.read_list(options.list)
    parts = partition.parts_of(paths, options.size, command)
    print("| workers | start-up | images per second |", *(f"{each} million images |" for each in MILLIONS))
    print("|---|---|---|" + "---|" * len(MILLIONS))
    for workers in 1, 2:
        ready, took = measure(workers, parts, command)
        rate = len(paths) / took
        hours = (f"{each * 1e6 / rate / 3600:.1f} hours |" for each in MILLIONS)
        print(f"| {workers} | {ready:.1f} s | {rate:.1f} |", *hours, flush=True)


if __name__ == "__main__":
    main()
