"""Show what the operator sees: run bgkit in a terminal emulator on a drawn series, and save the screen as a picture.

Usage: python docs/terminal.py watch|remove FOLDER        (needs a POSIX system)

The series is drawn here; some shots are spoilt on purpose: cut by the border, out of focus, two subjects, and a file
that ends too early.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

import cv2
import numpy as np
import pyte
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont

ROWS, COLS = 26, 118
ROOT = Path(__file__).resolve().parents[1]
COLORS = {"default": "#d8d8d8", "red": "#ff6b60", "green": "#7bd88f", "brown": "#ffd866", "blue": "#78a9ff"}
COLORS |= {"magenta": "#d19aff", "cyan": "#6fd6e0", "yellow": "#ffd866", "white": "#ffffff", "black": "#5a5a5a"}


def bottle(shift: int = 0, twice: bool = False, blur: float = 0.0, seed: int = 0) -> np.ndarray:
    """Draw a bottle with a label on light gray ground, 1100 x 900 px."""
    rng = np.random.default_rng(seed)
    row, col = np.mgrid[:2200, :1800].astype(np.float32)
    picture = np.full((2200, 1800, 3), 236, np.float32) - 14 * (((row - 1000) / 1500) ** 2)[..., None]
    for center in (900 + shift, 350) if twice else (900 + shift,):
        hue = rng.permutation([40, 90, 150]) * 1.0
        body = (abs(col - center) < 260) & (row > 700) & (row < 2000)
        neck = (abs(col - center) < 90) & (row > 250) & (row <= 720)
        if twice:
            body, neck = ((abs(col - center) < 160) & (row > 900) & (row < 1900)), neck & (row > 600)
        shade = 1 - 0.5 * (abs(col - center) / 260) ** 2
        for part in (body, neck):
            picture[part] = (hue * shade[..., None])[part]
        label = body & (abs(row - 1400) < 220)
        picture[label] = (hue[::-1] - 25 * ((np.sin(row / 9) * np.sin(col / 13)) > 0.3)[..., None])[label]
    picture = cv2.resize(picture, (900, 1100), interpolation=cv2.INTER_AREA)
    picture += rng.normal(0, 2, picture.shape)
    picture = cv2.GaussianBlur(picture, (0, 0), blur) if blur else picture
    return np.clip(picture, 0, 255).astype(np.uint8)


SERIES = {
    "0101-amber.jpg": {},
    "0102-green.jpg": {"seed": 1},
    "0103-cut.jpg": {"seed": 3, "shift": -800},
    "0104-soft.jpg": {"seed": 4, "blur": 5},
    "0105-two.jpg": {"seed": 5, "twice": True},
    "0106-broken.jpg": {"seed": 6},
}


def shoot(name: str, folder: Path) -> None:
    cv2.imwrite(str(folder / name), bottle(**SERIES[name]), [cv2.IMWRITE_JPEG_QUALITY, 92])
    if "broken" in name:
        os.truncate(folder / name, 30_000)


def emulate(command: list[str], cwd: Path, meanwhile: list[str], seconds: float, until: bytes) -> pyte.Screen:
    """Run a command in a terminal of ROWS x COLS; shots arrive meanwhile; return the screen when ``until`` was seen."""
    screen = pyte.Screen(COLS, ROWS)
    stream = pyte.ByteStream(screen)
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLS, 0, 0))
    place = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT), "COLUMNS": str(COLS), "LINES": str(ROWS)}
    stream.feed(b"\x1b[1m$ bgkit " + " ".join(command).encode() + b"\x1b[0m\r\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "bgkit", *command], cwd=cwd, env=place, stdin=child, stdout=child, stderr=child
    )
    os.close(child)
    started, seen = time.monotonic(), b""
    due = started + 2
    while time.monotonic() - started < seconds:
        if select.select([parent], [], [], 0.2)[0]:
            try:
                data = os.read(parent, 65536)
            except OSError:  # the other side is closed
                break
            seen += data
            stream.feed(data)
        if meanwhile and time.monotonic() > due:
            shoot(meanwhile.pop(0), cwd / "incoming")
            due = time.monotonic() + 2
        if not meanwhile and until in seen:
            break
    else:
        process.kill()
        sys.exit(f"docs/terminal.py: {until.decode()!r} did not appear within {seconds:g} s")
    if process.poll() is None:
        process.terminate()
    process.wait()
    os.close(parent)
    return screen


def draw(screen: pyte.Screen, target: Path) -> None:
    """Draw the screen, character by character."""
    fonts = [Path(get_data_path()) / "fonts" / "ttf" / f"DejaVuSansMono{bold}.ttf" for bold in ("", "-Bold")]
    plain, bold = (ImageFont.truetype(str(font), 15) for font in fonts)
    wide, high = 9, 20
    last = max((row for row in range(ROWS) if screen.display[row].strip()), default=0) + 1
    picture = Image.new("RGB", (COLS * wide + 24, last * high + 24), "#1e1e1e")
    pen = ImageDraw.Draw(picture)
    for row in range(last):
        for col in range(COLS):
            each = screen.buffer[row][col]
            color = COLORS.get(each.fg, f"#{each.fg}" if len(each.fg) == 6 else COLORS["default"])
            place = (12 + col * wide, 12 + row * high)
            pen.text(place, each.data, fill=color, font=bold if each.bold else plain)
    picture.save(target, optimize=True)


def main() -> None:
    what, target = sys.argv[1], Path(sys.argv[2], f"{sys.argv[1]}.png")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "incoming").mkdir()
        product = (ROOT / "bgkit" / "pipelines" / "product.yaml").read_text()  # for a smaller shop, to be quick
        (folder / "shop.yaml").write_text(
            product.replace("size: 2000", "size: 1000").replace("pixels: 1600", "pixels: 800")
        )
        shots = list(SERIES)
        if what == "remove":
            for shot in shots:
                shoot(shot, folder / "incoming")
            command = ["remove", "incoming", "-o", "shop", "-p", "shop.yaml", "--review", "see", "--strict"]
            screen = emulate(command, folder, [], 500, b"  failed: ")
        else:
            command = ["watch", "incoming", "-o", "shop", "-p", "shop.yaml", "--settle", "0.5"]
            screen = emulate(command, folder, shots, 500, b"FAILED")
    draw(screen, target)


if __name__ == "__main__":
    main()
