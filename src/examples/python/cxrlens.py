"""Classifies chest X-rays from Python with the library libcxr, on this machine. For research and education; not a medical device.

    import cxrlens
    with cxrlens.Classifier() as classifier:
        result = classifier.classify(open("image.png", "rb").read())    # PNG or JPEG, or pixels as a numpy array
        print(result.verdict, result.probabilities["covid-19"], result.findings)

Needs numpy and an installed CXR Lens (`make install`); `Classifier(library=..., model=...)` takes a build that is not installed.
"""
import ctypes
import os
import subprocess
import threading
from dataclasses import dataclass
from typing import Dict, Iterator, List, Optional, Tuple, Union

import numpy as np

VERSION = "0.2"
"""Of the libraries that have the structures below."""
MAX_CLASSES, MAX_FINDINGS, MAPS = 7, 32, ("lungs", "opacities")
WARNINGS = ("low-resolution", "heavy-borders", "low-contrast", "aspect", "colour", "inverted", "rotated", "no-evidence",
            "lungs-not-found", "lungs-cut")
_WINDOW_NONE, _WINDOW_LINEAR, _WINDOW_LINEAR_EXACT = 0, 1, 2


class Error(Exception):
    """What kept an image or a model from being read. A refusal ("not-a-chest-x-ray") is a verdict and no error."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        """Of the status, such as "image-corrupt"; "library" if libcxr is missing or of another version."""


@dataclass(frozen=True)
class Box:
    """A part of the image, in fractions of its width and height."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Finding(Box):
    """An opacity inside the lungs; the patient's side."""

    side: str
    zone: str
    strength: float


@dataclass(frozen=True)
class Score:
    """A value and the threshold that it is held against."""

    score: float
    threshold: float


@dataclass(frozen=True)
class Result:
    """One answer. web/result.schema.json says more of what these mean."""

    verdict: str
    """A class, "uncertain" or "not-a-chest-x-ray"; probabilities and findings then mean nothing."""
    probabilities: Dict[str, float]
    logits: Dict[str, float]
    width: int
    height: int
    frame: Box
    """What part of the image was read."""
    gate: Score
    opacity: Score
    """The strongest opacity inside the lungs; below the threshold no disease is named."""
    findings: List[Finding]
    """The strongest first."""
    maps: Dict[str, np.ndarray]
    """"lungs" and "opacities": values 0..1, [row, column] over the frame."""
    warnings: List[str]


class _Result(ctypes.Structure):  # struct cxr_result
    _fields_ = [
        ("verdict", ctypes.c_int32),
        *((name, ctypes.c_uint32) for name in ("class_count", "warnings", "image_format", "width", "height", "gate_accepted")),
        *((name, ctypes.c_float) for name in ("gate_score", "gate_threshold")),
        *((name, ctypes.c_float * MAX_CLASSES) for name in ("logits", "probabilities")),
        *((name, ctypes.c_double) for name in ("decode_ms", "preprocess_ms", "network_ms")),
        *((name, ctypes.c_uint32) for name in ("passes", "frame_x", "frame_y", "frame_width", "frame_height")),
        *((name, ctypes.c_float) for name in ("opacity", "opacity_threshold")),
    ]


class _Finding(ctypes.Structure):  # struct cxr_finding
    _fields_ = [
        *((name, ctypes.c_float) for name in ("x", "y", "width", "height", "strength")),
        *((name, ctypes.c_uint32) for name in ("side", "zone")),
    ]


class _Info(ctypes.Structure):  # struct cxr_model_info
    _fields_ = [
        *((name, ctypes.c_char_p) for name in ("id", "version")),
        ("sha256", ctypes.c_uint8 * 32),
        ("class_count", ctypes.c_uint32),
        ("classes", ctypes.c_char_p * MAX_CLASSES),
        *((name, ctypes.c_uint32) for name in ("input_width", "input_height")),
        ("maps", ctypes.c_uint32 * 2 * len(MAPS)),  # width and height of each
        *((f"{name}_threshold", ctypes.c_float) for name in ("gate", "uncertain", "evidence", "lungs", "opacity")),
        ("arena_bytes", ctypes.c_size_t),
        ("macs", ctypes.c_uint64),
        ("kernels", ctypes.c_char_p),
    ]


class _Gray16(ctypes.Structure):  # struct cxr_gray16
    _fields_ = [
        ("pixels", ctypes.c_void_p),
        *((name, ctypes.c_uint32) for name in ("width", "height", "bits", "is_signed")),
        *((name, ctypes.c_double) for name in ("slope", "intercept")),
        ("window", ctypes.c_uint32),
        *((name, ctypes.c_double) for name in ("centre", "width_of_window")),
        *((name, ctypes.c_uint32) for name in ("invert", "has_padding")),
        ("padding", ctypes.c_int32),
    ]


class Classifier:
    """A loaded model. Threads may share it (they wait for each other); threads that have one each run side by side."""

    def __init__(self, library: Optional[str] = None, model: Optional[str] = None) -> None:
        """Without arguments: the library and the model installed with this file, else those that pkg-config knows."""
        self._model = ctypes.c_void_p()
        self._lock = threading.Lock()
        self._lib = _load(library)
        path = model or os.environ.get("CXRLENS_MODEL") or _find("share/cxrlens/cxrlens.cxrm")
        if not path:
            raise Error("library", "No model is installed; say where it is: Classifier(model=...).")
        self._bytes = np.fromfile(path, np.uint8)  # the library reads it as long as the model lives
        self._check(self._lib.cxr_model_load(self._bytes.ctypes.data, self._bytes.size, ctypes.byref(self._model)))
        info = _Info()
        self._lib.cxr_model_info(self._model, ctypes.byref(info))
        self.model: Dict[str, str] = {"id": info.id.decode(), "version": info.version.decode(), "sha256": bytes(info.sha256).hex()}
        self.classes: List[str] = [name.decode() for name in info.classes[: info.class_count]]
        self._shapes = {name: (size[1], size[0]) for name, size in zip(MAPS, info.maps)}

    def classify(
        self,
        image: Union[bytes, bytearray, memoryview, np.ndarray],
        *,
        bits: Optional[int] = None,
        window: Optional[Tuple[float, float]] = None,
        slope: float = 1,
        intercept: float = 0,
        invert: bool = False,
        padding: Optional[int] = None,
    ) -> Result:
        """Classifies a PNG or JPEG, or pixels [row, column] of uint8, uint16 or int16.

        The rest is for pixels, as DICOM means it: the bits that are used; the window's centre and width (else uint8 is taken as it
        is, and others from their smallest to their largest value); the modality rescale; MONOCHROME1; the value of background.
        """
        raw = _Result()
        with self._lock:
            if not self._model:
                raise Error("argument", "The classifier is closed.")
            if isinstance(image, np.ndarray):
                stored, pixels = _stored(image, bits)
                centre, width = window or (127.5, 255)
                kind = _WINDOW_LINEAR if window else _WINDOW_LINEAR_EXACT if image.dtype == np.uint8 else _WINDOW_NONE
                gray = _Gray16(pixels.ctypes.data, *pixels.shape[::-1], *stored, slope, intercept, kind, centre, width, invert,
                               padding is not None, padding or 0)
                status = self._lib.cxr_classify_gray16(self._model, ctypes.byref(gray), ctypes.byref(raw))
            else:
                data = bytes(image)
                status = self._lib.cxr_classify(self._model, data, len(data), ctypes.byref(raw))
            self._check(status)
            return self._result(raw)

    def close(self) -> None:
        """Gives the model's memory back."""
        with self._lock:
            self._lib.cxr_model_free(self._model)
            self._model = ctypes.c_void_p()

    def __enter__(self) -> "Classifier":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_model", None):
            self.close()

    def _check(self, status: int) -> None:
        if status:
            raise Error(self._lib.cxr_status_name(status).decode(), self._lib.cxr_strerror(status).decode())

    def _result(self, raw: _Result) -> Result:
        verdict = {-1: "uncertain", -2: "not-a-chest-x-ray"}.get(raw.verdict) or self.classes[raw.verdict]
        frame = Box(raw.frame_x / raw.width, raw.frame_y / raw.height, raw.frame_width / raw.width, raw.frame_height / raw.height)
        return Result(
            verdict=verdict,
            probabilities=dict(zip(self.classes, raw.probabilities)),
            logits=dict(zip(self.classes, raw.logits)),
            width=raw.width,
            height=raw.height,
            frame=frame,
            gate=Score(raw.gate_score, raw.gate_threshold),
            opacity=Score(raw.opacity, raw.opacity_threshold),
            findings=self._findings(),
            maps={name: self._map(which, shape) for which, (name, shape) in enumerate(self._shapes.items())},
            warnings=[name for bit, name in enumerate(WARNINGS) if raw.warnings >> bit & 1],
        )

    def _findings(self) -> List[Finding]:
        found, count = (_Finding * MAX_FINDINGS)(), ctypes.c_uint32()
        self._check(self._lib.cxr_findings(self._model, found, MAX_FINDINGS, ctypes.byref(count)))
        sides, zones = ("right", "left", "both"), ("upper", "middle", "lower")
        return [Finding(f.x, f.y, f.width, f.height, sides[f.side], zones[f.zone], f.strength) for f in found[: count.value]]

    def _map(self, which: int, shape: Tuple[int, int]) -> np.ndarray:
        values = np.empty(shape, np.float32)
        self._check(self._lib.cxr_map(self._model, which, values.ctypes.data))
        return values


def _stored(image: np.ndarray, bits: Optional[int]) -> Tuple[Tuple[int, int], np.ndarray]:
    """The bits of an array's pixels and whether they are signed, and the array as the library takes it."""
    if image.ndim != 2 or image.dtype not in (np.uint8, np.uint16, np.int16):
        raise Error("argument", "Pixels are [row, column] of uint8, uint16 or int16.")
    signed = image.dtype == np.int16
    pixels = np.ascontiguousarray(image.view(np.uint16) if signed else image, np.uint16)
    return (image.itemsize * 8 if bits is None else bits, signed), pixels


def _prefixes() -> Iterator[str]:
    """Where CXR Lens may be installed: with this file, where pkg-config says, and the usual places."""
    yield os.path.abspath(os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../.."))
    try:
        said = subprocess.run(["pkg-config", "--variable=prefix", "cxrlens"], capture_output=True, text=True, check=False).stdout.strip()
        if said:
            yield said
    except OSError:
        pass  # no pkg-config
    yield from ("/usr/local", "/usr")


def _find(name: str) -> Optional[str]:
    """The path of an installed file."""
    return next((path for path in (os.path.join(prefix, name) for prefix in _prefixes()) if os.path.exists(path)), None)


def _load(path: Optional[str]) -> ctypes.CDLL:
    """The library, with the types of what is called here."""
    try:
        lib = ctypes.CDLL(path or _find("lib/libcxr.so.0") or "libcxr.so.0")
    except OSError as missing:
        raise Error("library", f"{missing}; say where it is: Classifier(library=...).") from missing
    lib.cxr_version.restype = ctypes.c_char_p
    version = lib.cxr_version().decode()
    if not version.startswith(VERSION + "."):
        raise Error("library", f"{lib._name} is version {version}; this file reads {VERSION}.")
    pointer, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint32
    for name, result, arguments in (
        ("cxr_status_name", ctypes.c_char_p, [ctypes.c_int]),
        ("cxr_strerror", ctypes.c_char_p, [ctypes.c_int]),
        ("cxr_model_load", ctypes.c_int, [pointer, size, pointer]),
        ("cxr_model_free", None, [pointer]),
        ("cxr_model_info", None, [pointer, pointer]),
        ("cxr_classify", ctypes.c_int, [pointer, ctypes.c_char_p, size, pointer]),
        ("cxr_classify_gray16", ctypes.c_int, [pointer, pointer, pointer]),
        ("cxr_map", ctypes.c_int, [pointer, number, pointer]),
        ("cxr_findings", ctypes.c_int, [pointer, pointer, number, pointer]),
    ):
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib
