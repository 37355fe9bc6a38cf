"""Writes tests/src/fuzz/seeds/fuzz_image/: one small image of every kind that the decoder knows, all of them made of
formulas. tests/src/test_image.c knows the same formulas; the fuzzer starts from these files.

    /usr/bin/python3 tests/src/fuzz/seeds.py
"""
import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

OUT = Path(__file__).parent / 'seeds' / 'fuzz_image'
WIDTH, HEIGHT = 37, 34
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))  # Adam7: x, y, steps


def sample(x, y, channel, depth):
    """Sample `channel` at (x, y), `depth` bits."""
    return ((3 + 4 * channel) * x + (5 + 2 * channel) * y + x * y // (3 + channel)) * (257 if depth == 16 else 1) % (1 << depth)


def chunk(kind, body):
    return struct.pack('>I', len(body)) + kind + body + struct.pack('>I', zlib.crc32(kind + body))


def rows(colour, depth, filtered, x0=0, y0=0, step_x=1, step_y=1):
    """The raw bytes of one pass, each row with a filter of its own."""
    channels, raw, before = CHANNELS[colour], b'', None
    unit = max(1, channels * depth // 8)
    for y in range(y0, HEIGHT, step_y):
        bits = ''.join(f'{sample(x, y, c, depth):0{depth}b}' for x in range(x0, WIDTH, step_x) for c in range(channels))
        row = int(bits.ljust(-(-len(bits) // 8) * 8, '0'), 2).to_bytes(-(-len(bits) // 8), 'big')
        before = before or bytes(len(row))
        kind = y // step_y % 5 if filtered else 0  # none, sub, up, average, Paeth
        for i, value in enumerate(row):
            a, b, c = (row[i - unit], before[i], before[i - unit]) if i >= unit else (0, before[i], 0)
            nearest = min((a, b, c), key=lambda v: abs(a + b - c - v))
            raw += bytes([kind] * (i == 0) + [(value - (0, a, b, (a + b) // 2, nearest)[kind]) & 255])
        before = row
    return raw


def png(colour, depth, interlaced, extra=b''):
    header = struct.pack('>IIBBBBB', WIDTH, HEIGHT, depth, colour, 0, 0, interlaced)
    raw = b''.join(rows(colour, depth, True, *p) for p in PASSES) if interlaced else rows(colour, depth, depth >= 8)
    palette = b''
    if colour == 3:
        palette = chunk(b'PLTE', bytes(v for i in range(1 << depth) for v in (i * 17 % 256, (255 - i * 9) % 256, i * 5 % 256)))
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + palette + extra + chunk(b'IDAT', zlib.compress(raw, 9))
            + chunk(b'IEND', b''))


def exif(orientation):
    return b'MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01' + struct.pack('>H', orientation) + b'\0\0\0\0\0\0'


def jpeg(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, 'JPEG', quality=95, **options)
    return buffer.getvalue()


def restarts(progressive):
    """A JPEG of flat blocks, with a restart marker after each row of them, made by hand."""
    def segment(marker, *body):
        return bytes([0xff, marker, 0, 2 + len(body), *body])

    data = b''
    for row, y in enumerate(range(4, HEIGHT + 4, 8)):
        bits, before = '', 128
        for x in range(4, WIDTH + 4, 8):
            step, before = 40 + 2 * x + 3 * y - before, 40 + 2 * x + 3 * y
            size = abs(step).bit_length()
            bits += f'{size:04b}' + f'{step if step > 0 else step + (1 << size) - 1:0{size}b}' * (size > 0)
            bits += '0' * (not progressive)  # end of block
        bits += '1' * (-len(bits) % 8)
        data += bytes([0xff, 0xd0 + (row - 1) % 8]) * (row > 0)
        data += int(bits, 2).to_bytes(len(bits) // 8, 'big').replace(b'\xff', b'\xff\0')
    return (b'\xff\xd8' + segment(0xdb, 0, *[8] * 64) + segment(0xdd, 0, -(-WIDTH // 8))
            + segment(0xc2 if progressive else 0xc0, 8, 0, HEIGHT, 0, WIDTH, 1, 1, 0x11, 0)
            + segment(0xc4, 0, 0, 0, 0, 9, *[0] * 12, *range(9)) + segment(0xc4, 0x10, 1, *[0] * 15, 0)
            + segment(0xda, 1, 1, 0, 0, 0 if progressive else 63, 0) + data + b'\xff\xd9')


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    files = {f'png-{colour}-{depth}-{interlaced}.png': png(colour, depth, interlaced)
             for colour, depths in DEPTHS.items() for depth in depths for interlaced in (0, 1)}
    files['png-key-gray.png'] = png(0, 8, 0, chunk(b'tRNS', struct.pack('>H', sample(5, 7, 0, 8))))
    files['png-key-rgb.png'] = png(2, 8, 0, chunk(b'tRNS', struct.pack('>HHH', *(sample(5, 7, c, 8) for c in range(3)))))
    files['png-alpha-palette.png'] = png(3, 4, 0, chunk(b'tRNS', bytes(255 - i * 30 for i in range(8))))
    files['png-turned.png'] = png(0, 8, 0, chunk(b'eXIf', exif(6)))

    y, x = np.mgrid[:HEIGHT, :WIDTH]
    smooth = (40 + 2 * x + 3 * y).astype(np.uint8)
    gray = Image.fromarray(smooth)
    colour = Image.fromarray(np.stack([smooth, 255 - smooth, smooth // 2], 2))
    inks = Image.merge('CMYK', [Image.fromarray(255 - smooth)] * 3 + [Image.new('L', (WIDTH, HEIGHT), 0)])
    files['jpeg-gray.jpg'] = jpeg(gray)
    files['jpeg-gray-progressive.jpg'] = jpeg(gray, progressive=True)
    files['jpeg-turned.jpg'] = jpeg(gray, exif=b'Exif\0\0' + exif(1))
    for name, subsampling in (('444', 0), ('422', 1), ('420', 2)):
        files[f'jpeg-{name}.jpg'] = jpeg(colour, subsampling=subsampling)
    files['jpeg-420-progressive.jpg'] = jpeg(colour, subsampling=2, progressive=True)
    files['jpeg-neutral.jpg'] = jpeg(gray.convert('RGB'), subsampling=2)
    files['jpeg-cmyk.jpg'] = jpeg(inks)
    # The same planes with no transform, named R, G and B.
    planes = bytearray(jpeg(Image.merge('YCbCr', colour.split()), subsampling=0))
    frame, scan = planes.index(b'\xff\xc0'), planes.index(b'\xff\xda')
    for i, name in enumerate(b'RGB'):
        planes[frame + 10 + 3 * i] = planes[scan + 5 + 2 * i] = name
    files['jpeg-rgb.jpg'] = bytes(planes)
    files['jpeg-restarts.jpg'], files['jpeg-restarts-progressive.jpg'] = restarts(False), restarts(True)
    # Decoded pixels: what tests/src/fuzz/fuzz_image.c makes of bytes after a W.
    numbers = struct.pack('<4d6Bi', 1, 0, 2048, 4096, WIDTH, HEIGHT, 12, 0, 1, 0, -2000)
    files['pixels'] = b'W' + numbers + (smooth.astype('<u2') << 4).tobytes()
    for name, content in files.items():
        (OUT / name).write_bytes(content)


if __name__ == '__main__':
    main()
