"""Reading and writing picture files: seconds and bytes, bgkit beside Pillow, OpenCV and the deflate libraries.

    python benchmarks/bench_imagefile.py [--quick]

The picture is made of scikit-image's photographs laid side by side at their own resolution, since an
enlarged photograph has no noise and would flatter every encoder; the alpha is soft blobs, about half of
it clear. Both sides run in alternation in one process; the table holds medians of processor time of
this process, which other work on the machine disturbs least. zlib-ng and libdeflate join where they
are installed (``pip install zlib-ng deflate``).
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import os
import platform
import resource
import statistics
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np
import simplejpeg
from isal import isal_zlib
from PIL import Image
from skimage import data

from bgkit.imagefile import read_picture, write_picture


def photograph(rows: int, cols: int) -> np.ndarray:
    """Return uint8 RGBA: photographs side by side, some mirrored, under blobs of alpha."""
    tiles = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket()]
    tiles += [tile[:, ::-1] for tile in tiles] + [tile[::-1] for tile in tiles]
    out = np.zeros((rows, cols, 4), np.uint8)
    for number, row in enumerate(range(0, rows, 300)):
        col, turn = 0, number
        while col < cols:
            tile = tiles[turn % len(tiles)][: min(300, rows - row), : cols - col]
            out[row : row + tile.shape[0], col : col + tile.shape[1], :3] = tile
            col, turn = col + tile.shape[1], turn + 1
    noise = np.random.default_rng(0).standard_normal((rows // 100 + 2, cols // 100 + 2)).astype(np.float32)
    blobs = cv2.resize(noise, (cols, rows), interpolation=cv2.INTER_CUBIC)
    out[:, :, 3] = np.clip(blobs * 2000, 0, 255)
    return out


def up_filtered(samples: np.ndarray) -> np.ndarray:
    """Return the rows of a PNG with filter 2, Up."""
    rows = samples.reshape(len(samples), -1)
    out = np.empty((len(rows), 1 + rows.shape[1]), np.uint8)
    out[:, 0] = 2
    out[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=out[1:, 1:])
    return out


def png_by_pillow(samples: np.ndarray, level: int) -> bytes:
    memory = io.BytesIO()
    Image.fromarray(samples).save(memory, "PNG", compress_level=level)
    return memory.getvalue()


def png_by_opencv(samples: np.ndarray, *flags: int) -> bytes:
    return bytes(cv2.imencode(".png", samples, flags)[1])


def png_by_bgkit(array: np.ndarray, **options: Any) -> bytes:
    memory = io.BytesIO()
    write_picture(memory, array, format="png", **options)
    return memory.getvalue()


def table(title: str, size: str, works: dict[str, Callable[[], Any]], runs: int) -> None:
    """Run every work ``runs`` times in turn, and print median seconds, the ratio to the first, and bytes."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    results: dict[str, Any] = {}
    for _ in range(runs):
        for name, work in works.items():
            start = time.process_time()
            results[name] = work()
            seconds[name].append(time.process_time() - start)
    print(f"\n{title}, {size}")
    print(f"{'by':<34}{'seconds':>9}{'ratio':>8}{'MB':>9}")
    first = statistics.median(next(iter(seconds.values())))
    for name, spent in seconds.items():
        median, result = statistics.median(spent), results[name]
        large = f"{len(result) / 1e6:9.2f}" if isinstance(result, bytes) else ""
        print(f"{name:<34}{median:9.3f}{median / first:8.2f}{large}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a picture of 1 MP and one run")
    quick = parser.parse_args().quick
    rows, cols, runs = (900, 1200, 1) if quick else (3000, 4000, 3)
    cv2.setNumThreads(1)
    size = f"{rows * cols / 1e6:.0f} MP"
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, one thread used; {platform.platform()}"
    )

    kept = photograph(rows, cols)
    share = kept / np.float32(255)
    visible = np.frombuffer(read_back(png_by_bgkit(share)), np.uint8).reshape(kept.shape)  # as bgkit writes it
    opaque = np.ascontiguousarray(share[:, :, :3])

    writers: dict[str, Callable[[], Any]] = {
        "bgkit, float32 RGBA": lambda: png_by_bgkit(share),
        "Pillow level 1, uint8": lambda: png_by_pillow(visible, 1),
        "OpenCV default, uint8": lambda: png_by_opencv(visible),
        "OpenCV level 1, uint8": lambda: png_by_opencv(visible, cv2.IMWRITE_PNG_COMPRESSION, 1),
    }
    if not quick:
        writers["Pillow default, uint8"] = lambda: png_by_pillow(visible, 6)
    table("write PNG, RGBA, clear color dropped", size, writers, runs)
    table(
        "write PNG, opaque",
        size,
        {
            "bgkit, float32 RGB": lambda: png_by_bgkit(opaque),
            "bgkit, float32 RGB, 16 bits": lambda: png_by_bgkit(opaque, depth=16),
            "Pillow level 1, uint8": lambda: png_by_pillow(kept[:, :, :3].copy(), 1),
            "OpenCV default, uint8": lambda: png_by_opencv(kept[:, :, :3].copy()),
        },
        runs,
    )

    filtered = up_filtered(visible)
    deflates: dict[str, Callable[[], Any]] = {
        "ISA-L 1": lambda: isal_zlib.compress(filtered, 1),
        "ISA-L 0": lambda: isal_zlib.compress(filtered, 0),
        "ISA-L 3": lambda: isal_zlib.compress(filtered, 3),
        "zlib 1": lambda: zlib.compress(filtered, 1),
        "filter Up alone, NumPy": lambda: up_filtered(visible) is None,
    }
    if importlib.util.find_spec("zlib_ng"):
        from zlib_ng import zlib_ng

        deflates |= {
            "zlib-ng 1": lambda: zlib_ng.compress(filtered, 1),
            "zlib-ng 2": lambda: zlib_ng.compress(filtered, 2),
        }
    if importlib.util.find_spec("deflate"):
        import deflate

        deflates["libdeflate 1"] = lambda: bytes(deflate.zlib_compress(filtered, 1))
    table("deflate rows after filter Up", size, deflates, runs)

    jpeg = io.BytesIO()
    Image.fromarray(kept[:, :, :3]).save(jpeg, "JPEG", quality=92)
    photo = jpeg.getvalue()
    table(
        "read JPEG, 4:2:0, quality 92",
        size,
        {
            "bgkit, to float32": lambda: read_picture(photo),
            "simplejpeg, strict": lambda: simplejpeg.decode_jpeg(photo),
            "OpenCV": lambda: cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR),
            "Pillow": lambda: np.asarray(Image.open(io.BytesIO(photo))),
        },
        runs,
    )
    cutout, deep = png_by_bgkit(share), png_by_bgkit(opaque, depth=16)
    table(
        "read PNG",
        size,
        {
            "bgkit, RGBA to float32": lambda: read_picture(cutout),
            "Pillow, RGBA": lambda: np.asarray(Image.open(io.BytesIO(cutout))),
            "OpenCV, RGBA": lambda: cv2.imdecode(np.frombuffer(cutout, np.uint8), cv2.IMREAD_UNCHANGED),
            "bgkit, RGB of 16 bits to float32": lambda: read_picture(deep),
            "OpenCV, RGB of 16 bits": lambda: cv2.imdecode(np.frombuffer(deep, np.uint8), cv2.IMREAD_UNCHANGED),
        },
        runs,
    )
    print(f"\npeak memory of all of it: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    exact = np.array_equal(read_picture(deep).image, np.rint(opaque * 65535) / np.float32(65535))
    same = np.array_equal(np.asarray(Image.open(io.BytesIO(cutout))), visible)
    print(f"agreement: 16 bits there and back exact: {exact}; Pillow reads the same samples from bgkit's PNG: {same}")


def read_back(png: bytes) -> bytes:
    return np.asarray(Image.open(io.BytesIO(png))).tobytes()


if __name__ == "__main__":
    main()
