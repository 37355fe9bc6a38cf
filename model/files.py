"""Reads and writes files safely, and reports errors as sentences: helpers that every step needs."""
from __future__ import annotations

import hashlib
import os
import struct
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator

from PIL import Image

# Raised by reading a damaged image.
UNREADABLE = (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError)


class DataError(Exception):
    """A data set that cannot be used; the message is a sentence for the user."""


def run_in_sentences(main: Callable[[], None]) -> None:
    """Runs `main`; what is wrong with the data or the disk ends it with a sentence."""
    try:
        main()
    except DataError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"A file could not be read or written: {error}.")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place once it is whole: a full disk or a kill leaves the last good one."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def printable(name: str) -> str:
    """A file's name as text that any report can hold."""
    return os.fsencode(name).decode(errors="backslashreplace")
