#!/usr/bin/env python3
"""Classifies a list of images in parts, each with one run of the command cxrlens, on however many machines share a folder.

    partition.py LIST OUT --count           how many parts the list has
    partition.py LIST OUT --part K          classifies part K (from 0) into OUT, unless that is done
    partition.py LIST OUT --collect         prints all lines, in the order of the list

LIST has one path a line, or the address of an image in a PACS (dicomweb.js); one that stands there twice counts once. Every
one gets exactly one line of JSON: a result, or an error that says why there is none, also where the command itself broke
down. A part is written under another name and renamed when it is complete, so that a machine that dies leaves nothing half
done, and two that do the same part leave it once. Its name comes from a hash of its paths and of the model: the same part of
a longer list, or of another model, is another file. After an interruption the same command does what is missing.
"""
import argparse
import hashlib
import json
import os
import socket
import subprocess
import sys
from typing import Iterator, List, NamedTuple, Sequence

SIZE = 500
"""Images of a part: a start of the command (some 20 ms) is then nothing, and a lost part is some seconds of work."""
SECONDS_PER_IMAGE = 60
"""An image that keeps the command longer than this is given up."""


class Part(NamedTuple):
    """Some images that are classified by one run."""

    number: int
    paths: Sequence[str]
    name: str
    """Of its file in OUT."""


def read_list(path: str) -> List[str]:
    """The paths of a list, absolute, each once, in order. Names that are not UTF-8 are kept byte by byte."""
    with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as lines:
        names = [line.rstrip("\n") for line in lines if line.strip()]
    return list(dict.fromkeys(name if name.startswith("dicomweb:") else os.path.abspath(name) for name in names))


def parts_of(paths: Sequence[str], size: int, command: Sequence[str]) -> List[Part]:
    """Cuts a list into parts."""
    model = subprocess.run([*command, "info"], check=True, capture_output=True).stdout
    return [_part(number, paths[start : start + size], model) for number, start in enumerate(range(0, len(paths), size))]


def _part(number: int, paths: Sequence[str], model: bytes) -> Part:
    text = "\n".join(paths).encode("utf-8", "surrogateescape")
    return Part(number, paths, f"part-{number:06d}-{hashlib.sha256(model + text).hexdigest()[:16]}.ndjson")


def run_part(part: Part, out: str, command: Sequence[str]) -> str:
    """Classifies the images of a part, unless that is done, and returns the path of its lines."""
    path = os.path.join(out, part.name)
    if os.path.exists(path):
        return path
    unfinished = f"{path}.{socket.gethostname()}.{os.getpid()}.tmp"
    with open(unfinished, "w", encoding="ascii") as file:
        for line in classify(part.paths, command):
            file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)
    return path


def classify(paths: Sequence[str], command: Sequence[str]) -> Iterator[dict]:
    """One result or error for each path, whatever happens."""
    at = 0
    while at < len(paths):
        answered = 0
        if os.path.isdir(paths[at]):  # the command would walk it
            yield _error(paths[at], "file-unreadable", "This is a folder.")
            answered = 1
        else:
            end = next((k for k in range(at, len(paths)) if os.path.isdir(paths[k])), len(paths))
            lines, broken = _run(paths[at:end], command)
            for line in lines:
                line.pop("timings", None)  # all else is the same wherever it is computed
                yield {**line, "file": paths[at + answered]}
                answered += 1
            if at + answered < end:
                yield _error(paths[at + answered], "crashed", f"The command broke down at this file: {broken}.")
                answered += 1
        at += answered


def _run(paths: Sequence[str], command: Sequence[str]):
    """The lines that one run of the command printed, and how it ended."""
    arguments = [os.fsencode(text) for text in [*command, "classify", "--format", "json", *paths]]
    try:
        done = subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              timeout=SECONDS_PER_IMAGE * len(paths), check=False)
        output, broken = done.stdout, f"status {done.returncode}"
        if done.returncode == 2:  # no model, or another command
            raise RuntimeError(f"{command[0]} cannot run here")
    except subprocess.TimeoutExpired as late:
        output, broken = late.stdout or b"", "it took too long"
    whole = output[: output.rfind(b"\n") + 1]  # a last line may be cut off
    return [json.loads(line) for line in whole.splitlines()], broken


def _error(path: str, code: str, message: str) -> dict:
    return {"schema": "cxrlens.result/2", "file": path, "error": {"code": code, "message": message}}


def collect(parts: Sequence[Part], out: str) -> Iterator[str]:
    """All lines in order; raises FileNotFoundError where a part is missing."""
    for part in parts:
        with open(os.path.join(out, part.name), encoding="ascii") as lines:
            yield from lines


def arguments(description: str) -> argparse.ArgumentParser:
    """What all ways of running have in common."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("list", metavar="LIST", help="paths of images, one a line")
    parser.add_argument("out", metavar="OUT", help="a folder that all machines share")
    parser.add_argument("--size", type=int, default=SIZE, help="images of a part (%(default)s)")
    parser.add_argument("--command", default="cxrlens", help="the command, such as cxrlens or its path")
    return parser


def main() -> int:
    parser = arguments("Classifies a list of images in parts.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--count", action="store_true", help="print how many parts the list has")
    what.add_argument("--part", type=int, metavar="K", help="classify part K, from 0")
    what.add_argument("--collect", action="store_true", help="print all lines, in the order of the list")
    options = parser.parse_args()
    command = [options.command]
    parts = parts_of(read_list(options.list), options.size, command)
    if options.count:
        print(len(parts))
    elif options.collect:
        try:
            sys.stdout.writelines(collect(parts, options.out))
        except FileNotFoundError as missing:
            print(f"Not done yet: {missing.filename} is missing.", file=sys.stderr)
            return 1
    elif options.part < len(parts):  # an array of jobs may be longer than the list
        os.makedirs(options.out, exist_ok=True)
        run_part(parts[options.part], options.out, command)
    return 0


if __name__ == "__main__":
    sys.exit(main())
