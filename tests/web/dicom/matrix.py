"""Writes DICOM files with real tools, and what pydicom makes of them, for matrix.test.js.

Usage: matrix.py FOLDER. Writes into it NAME.dcm, NAME.gray (8-bit gray after VOI, row by row), NAME.stored (stored
values, u16 little-endian), and index.csv: the names.
Needs pydicom, numpy, python3-gdcm, and the commands of dcmtk and libgdcm-tools.
"""
import itertools
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.pixel_data_handlers.util import apply_color_lut, apply_modality_lut, apply_voi_lut, convert_color_space
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid

WIDTH, HEIGHT = 61, 47  # odd, and no multiple of a JPEG block
BITS = (8, 10, 12, 14, 16)
WINDOWS = ("none", "linear", "several", "exact", "sigmoid", "lut", "modality-lut")
ROOT = "1.2.840.10008.1.2"
SYNTAXES = {
    "implicit": ROOT, "explicit": f"{ROOT}.1", "big": f"{ROOT}.2", "deflated": f"{ROOT}.1.99", "rle": f"{ROOT}.5",
    "jpeg-50": f"{ROOT}.4.50", "jpeg-51": f"{ROOT}.4.51", "jpeg-57": f"{ROOT}.4.57", "jpeg-70": f"{ROOT}.4.70",
    "jls-80": f"{ROOT}.4.80", "jls-81": f"{ROOT}.4.81", "j2k-90": f"{ROOT}.4.90", "j2k-91": f"{ROOT}.4.91",
}
ENCODE = {  # commands that turn IN, explicit little endian, into OUT
    "rle": ("dcmcrle", "IN", "OUT"),
    "jpeg-50": ("dcmcjpeg", "+eb", "IN", "OUT"),
    "jpeg-51": ("dcmcjpeg", "+ee", "+un", "IN", "OUT"),
    "jpeg-57": ("dcmcjpeg", "+el", "+sv", "6", "IN", "OUT"),
    "jpeg-70": ("dcmcjpeg", "+e1", "IN", "OUT"),
    "jls-80": ("dcmcjpls", "+el", "IN", "OUT"),
    "jls-81": ("dcmcjpls", "+en", "+md", "2", "IN", "OUT"),
    "j2k-90": ("gdcmconv", "--j2k", "IN", "OUT"),
    "j2k-91": ("gdcmconv", "--j2k", "--lossy", "--irreversible", "-q", "60", "IN", "OUT"),
}
LOSSY = ("jpeg-50", "jpeg-51", "jls-81", "j2k-91")


def picture(bits, signed):
    """Ramps and waves with every extreme in it."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    share = 0.45 + 0.3 * np.sin(x / 9.0) * np.cos(y / 7.0) + 0.25 * (x + y) / (WIDTH + HEIGHT)
    share = (share - share.min()) / (share.max() - share.min())
    values = np.round(share * (2**bits - 1)).astype(np.int64) - (2 ** (bits - 1) if signed else 0)
    return values.astype(f"{'i' if signed else 'u'}{2 if bits > 8 else 1}")


def data_set(pixels, bits, signed, photometric="MONOCHROME2", samples=1):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["cxrlens"])
    meta.TransferSyntaxUID = SYNTAXES["explicit"]
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    ds.is_little_endian, ds.is_implicit_VR = True, False
    ds.SOPClassUID, ds.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    ds.Modality, ds.PatientName, ds.PatientID = "DX", "Doe^Jane", "1"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = samples, photometric
    ds.Rows, ds.Columns = pixels.shape[0], pixels.shape[1]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = pixels.itemsize * 8, bits, bits - 1
    ds.PixelRepresentation = int(signed)
    ds.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    ds["PixelData"].VR = "OW" if pixels.itemsize == 2 else "OB"
    return ds


def lut(entries, first, bits):
    item = Dataset()
    item.LUTDescriptor = [len(entries) % 65536, first, bits]
    item["LUTDescriptor"].VR = "SS" if first < 0 else "US"
    item.LUTData = np.asarray(entries, np.uint16).tobytes()
    item["LUTData"].VR = "OW"
    return item


def add_window(ds, kind, bits, signed):
    low = -(2 ** (bits - 1)) if signed else 0
    middle, span = low + 2 ** (bits - 1), 2**bits
    if kind in ("linear", "several"):
        ds.RescaleSlope, ds.RescaleIntercept = "2.5", "-100"
        centres, widths = [2.5 * middle - 100, middle], [1.5 * span, span / 4]
        ds.WindowCenter, ds.WindowWidth = (centres[0], widths[0]) if kind == "linear" else (centres, widths)
    if kind in ("exact", "sigmoid"):
        ds.WindowCenter, ds.WindowWidth = middle + 0.25 * span / 2, 0.6 * span
        ds.VOILUTFunction = "LINEAR_EXACT" if kind == "exact" else "SIGMOID"
    if kind == "lut":
        n = min(span, 4096)
        ds.VOILUTSequence = Sequence([lut(np.round(1023 * (np.arange(n) / (n - 1)) ** 1.7), middle - n // 2, 10)])
        ds["VOILUTSequence"].value[0].LUTExplanation = "NORMAL"
    if kind == "modality-lut":
        n = min(span, 65536)
        ds.ModalityLUTSequence = Sequence([lut(np.round(4000 * np.sqrt(np.arange(n) / (n - 1))) + 50, low, 16)])
        ds["ModalityLUTSequence"].value[0].ModalityLUTType = "US"
        ds.WindowCenter, ds.WindowWidth = 2000, 3500


def voi_range(ds):
    """The range of pydicom's windowed output, as its apply_windowing reckons it."""
    if "ModalityLUTSequence" in ds:
        return 0, 2 ** ds.ModalityLUTSequence[0].LUTDescriptor[2] - 1
    low = -(2 ** (ds.BitsStored - 1)) if ds.PixelRepresentation else 0
    slope, intercept = float(ds.get("RescaleSlope", 1)), float(ds.get("RescaleIntercept", 0))
    return low * slope + intercept, (low + 2**ds.BitsStored - 1) * slope + intercept


def gray_after_voi(ds, stored):
    # In 64 bits, for pydicom's lookups overflow in the array's own type; and without what a lossy decoder overshoots.
    least = -(2 ** (ds.BitsStored - 1)) if ds.PixelRepresentation else 0
    values = apply_modality_lut(stored.astype(np.int64).clip(least, least + 2**ds.BitsStored - 1), ds)
    if "VOILUTSequence" in ds:
        share = apply_voi_lut(values, ds) / (2 ** ds.VOILUTSequence[0].LUTDescriptor[2] - 1)
    elif "WindowCenter" in ds:
        low, high = voi_range(ds)
        share = (apply_voi_lut(values, ds, prefer_lut=False) - low) / (high - low)
    else:
        low, high = voi_range(ds) if ds.BitsStored == 8 else np.quantile(values, [0.005, 0.995], method="inverted_cdf")
        share = (values - low) / (high - low)
    if ds.PhotometricInterpretation == "MONOCHROME1":
        share = 1 - share
    return np.clip(np.round(255 * share), 0, 255).astype(np.uint8)


def gray_of_rgb(rgb, bits):
    weighted = rgb.astype(np.int64) @ np.array([77, 150, 29]) + 128 >> 8
    return np.clip(np.round(weighted / (2**bits - 1) * 255), 0, 255).astype(np.uint8)


def run(*words):
    subprocess.run(words, check=True, capture_output=True, timeout=20)


def shapes(writer):
    """Photometric Interpretation with Presentation LUT Shape, against DCMTK: pydicom knows nothing of it."""
    for photometric, shape in itertools.product(("MONOCHROME1", "MONOCHROME2"), ("", "IDENTITY", "INVERSE")):
        name, pixels = f"shape-{photometric[-1]}-{shape}", picture(8, 0)
        ds = data_set(pixels, 8, 0, photometric)
        if shape:
            ds.PresentationLUTShape = shape
        ds.save_as(writer.path(name, "dcm"), write_like_original=False)
        run("dcm2pnm", "+op", writer.path(name, "dcm"), writer.path(name, "tmp"))
        gray = np.frombuffer(writer.path(name, "tmp").read_bytes()[-pixels.size:], np.uint8)
        writer.oracle(name, pixels, gray)


class Writer:
    def __init__(self, folder):
        self.folder, self.lines = folder, []

    def path(self, name, end):
        return self.folder / f"{name}.{end}"

    def oracle(self, name, stored, gray):
        self.path(name, "stored").write_bytes(np.ascontiguousarray(stored).astype(np.int32).astype(np.uint16).tobytes())
        self.path(name, "gray").write_bytes(gray.tobytes())
        self.lines.append(name)

    def monochrome(self, ds, name, syntax):
        """Saves the data set in a syntax and has pydicom read it again."""
        if encode(ds, syntax, self.path(name, "dcm"), self.path(name, "tmp")):
            read = pydicom.dcmread(self.path(name, "dcm"))
            # Without loss what went in is the truth; GDCM has been seen to change it.
            source = read if syntax in LOSSY else ds
            stored = source.pixel_array
            self.oracle(name, stored, gray_after_voi(source, stored))


def encode(ds, syntax, path, temporary):
    """False: the tool does not write this combination."""
    ds.save_as(temporary, write_like_original=False)
    if syntax in ENCODE:
        words = [{"IN": str(temporary), "OUT": str(path)}.get(word, word) for word in ENCODE[syntax]]
        done = subprocess.run(words, capture_output=True, timeout=20)
        temporary.unlink()
        if done.returncode != 0 or not path.exists():
            return False
        return pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID == SYNTAXES[syntax]
    other = pydicom.dcmread(temporary)
    temporary.unlink()
    other.decode()  # all of it, for what is raw still could not change its byte order
    other.file_meta.TransferSyntaxUID = SYNTAXES[syntax]
    other.is_implicit_VR, other.is_little_endian = syntax == "implicit", syntax != "big"
    if syntax == "big":  # pydicom writes the bytes of OW as they are
        if ds.BitsAllocated == 16:
            other.PixelData = np.frombuffer(ds.PixelData, np.uint16).byteswap().tobytes()
        for item in [*other.get("VOILUTSequence", []), *other.get("ModalityLUTSequence", [])]:
            item.LUTData = np.frombuffer(item.LUTData, np.uint16).byteswap().tobytes()
        for table in [element for element in other if element.keyword.endswith("PaletteColorLookupTableData")]:
            table.value = np.frombuffer(table.value, np.uint16).byteswap().tobytes()
    other.save_as(path, write_like_original=False)
    return True


def windows(writer):
    """Every window with every kind of pixel, uncompressed."""
    for bits, signed, kind, photometric in itertools.product(BITS, (0, 1), WINDOWS, ("MONOCHROME1", "MONOCHROME2")):
        ds = data_set(picture(bits, signed), bits, signed, photometric)
        add_window(ds, kind, bits, signed)
        writer.monochrome(ds, f"window-{kind}-{bits}-{'su'[1 - signed]}-{photometric[-1]}", "explicit")


def syntaxes(writer):
    """Every syntax with every kind of pixel; windows and inversion in turn."""
    turn = 0
    for syntax, bits, signed in itertools.product(SYNTAXES, BITS, (0, 1)):
        turn += 1
        photometric, kind = ("MONOCHROME1", "MONOCHROME2")[turn % 2], WINDOWS[turn % len(WINDOWS)]
        ds = data_set(picture(bits, signed), bits, signed, photometric)
        add_window(ds, kind, bits, signed)
        writer.monochrome(ds, f"syntax-{syntax}-{bits}-{'su'[1 - signed]}-{kind}", syntax)


def colours(writer):
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH + 1]  # 4:2:2 wants an even width
    rgb = np.stack([x * 4, y * 5, (x + y) * 2], -1).clip(0, 255).astype(np.uint8)
    ybr = convert_color_space(rgb, "RGB", "YBR_FULL")
    for planar, (name, pixels) in itertools.product((0, 1), {"RGB": rgb, "YBR_FULL": ybr}.items()):
        ds = data_set(pixels, 8, 0, name, 3)
        ds.PlanarConfiguration = planar
        ds.PixelData = (pixels.transpose(2, 0, 1) if planar else pixels).tobytes()
        for syntax in ("explicit", "implicit", "rle", "jpeg-70", "jls-80", "j2k-90"):
            label = f"colour-{name}-{planar}-{syntax}"
            if encode(ds, syntax, writer.path(label, "dcm"), writer.path(label, "tmp")):
                back = rgb if name == "RGB" else convert_color_space(ybr, "YBR_FULL", "RGB")
                writer.oracle(label, pixels, gray_of_rgb(back, 8))
    for option in ("+s4", "+s2", "+n1"):  # 4:4:4, 4:2:2, 4:1:1
        ds, label = data_set(rgb, 8, 0, "RGB", 3), f"colour-jpeg{option}"
        ds.PlanarConfiguration = 0
        ds.save_as(writer.path(label, "tmp"), write_like_original=False)
        run("dcmcjpeg", "+eb", option, writer.path(label, "tmp"), writer.path(label, "dcm"))
        writer.path(label, "tmp").unlink()
        read = pydicom.dcmread(writer.path(label, "dcm"))
        stored = read.pixel_array
        writer.oracle(label, stored, gray_of_rgb(convert_color_space(stored, "YBR_FULL", "RGB"), 8))
    for bits, syntax in itertools.product((8, 16), ("explicit", "big")):
        index = picture(8, 0)
        ds = data_set(index, 8, 0, "PALETTE COLOR")
        for i, colour in enumerate(("Red", "Green", "Blue")):
            table = (np.arange(256) * (3 + i) % 256) * (257 if bits == 16 else 1)
            setattr(ds, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, bits])
            setattr(ds, f"{colour}PaletteColorLookupTableData", table.astype(f"u{bits // 8}").tobytes())
        label = f"colour-palette-{bits}-{syntax}"
        encode(ds, syntax, writer.path(label, "dcm"), writer.path(label, "tmp"))
        writer.oracle(label, index, gray_of_rgb(apply_color_lut(index, ds), bits))


def main():
    warnings.simplefilter("ignore")
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    writer = Writer(folder)
    windows(writer)
    syntaxes(writer)
    colours(writer)
    shapes(writer)
    (folder / "index.csv").write_text("\n".join(writer.lines) + "\n")


if __name__ == "__main__":
    main()
