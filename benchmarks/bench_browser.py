"""The embedded network in Chromium: how far its mask is from the stage's, and the milliseconds of both.

    python -m benchmarks.bench_browser [--runs N] [--write]

Masks are compared on five photographs, twice: on the page of a server of its own, which is isolated from other origins,
so that WASM has threads, and on a host of static files that sends no such headers, where it has one.

For the times, pictures are a photograph of 0.26 MP, whose subject needs no closer look, and the same at 12 MP, on the
server's page. Runs of the three ways take turns, so that a busy machine slows all of them; the table has medians,
reading and writing left out. `--write` puts both tables into docs/how-to/in-the-browser.md.
"""

from __future__ import annotations

import argparse
import base64
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np
from playwright.sync_api import sync_playwright
from skimage import data

from benchmarks.bench_serve import command_of, free_port, serving
from benchmarks.pages import fill
from bgkit import stages
from bgkit.machine import machine

ROOT = Path(__file__).resolve().parents[1]
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu")
PHOTOGRAPHS = ("astronaut", "camera", "chelsea", "coffee", "rocket")  # of scikit-image
MASK = """async ([png, models]) => {
    const { load, maskOf } = await import("/network.js");
    const { browser } = [await (await fetch(models)).json()].flat().find(({ browser }) => browser);
    const bitmap = await createImageBitmap(new Blob([Uint8Array.from(atob(png), (letter) => letter.charCodeAt(0))]));
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
    context.drawImage(bitmap, 0, 0);
    const network = await load(browser, document.baseURI);
    const found = (await maskOf(context.getImageData(0, 0, bitmap.width, bitmap.height), network)).values;
    let text = "";
    for (const each of new Uint8Array(found.buffer)) text += String.fromCharCode(each);
    return [crossOriginIsolated, network.threads, btoa(text)];
}"""
LOAD = """async ([jpeg, threads]) => {
    const { load, maskOf } = await import("/network.js");
    const { browser } = (await (await fetch("/v1/models")).json()).find(({ browser }) => browser);
    const bitmap = await createImageBitmap(new Blob([Uint8Array.from(atob(jpeg), (letter) => letter.charCodeAt(0))]));
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
    context.drawImage(bitmap, 0, 0);
    const image = context.getImageData(0, 0, bitmap.width, bitmap.height);
    const began = performance.now();
    const network = await load(browser, document.baseURI, threads);
    const took = performance.now() - began;
    globalThis.run = async () => {
        const began = performance.now();
        await maskOf(image, network);
        return performance.now() - began;
    };
    await run();
    return took;
}"""


def measured(image: np.ndarray, url: str, browser, runs: int) -> tuple[dict[str, list[float]], float]:
    """Return the milliseconds of each way, and of loading runtime and network."""
    jpeg = base64.b64encode(cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1]).decode()
    tabs = {}
    for threads in dict.fromkeys((1, min(4, os.cpu_count() or 1))):
        tab = browser.new_page()
        tab.goto(url)
        loading = tab.evaluate(LOAD, [jpeg, threads])
        tabs[f"browser, {threads} thread{'s' * (threads > 1)}"] = tab
    values = image.astype(np.float32) / 255
    stages.cnn_mask(values)
    found: dict[str, list[float]] = {name: [] for name in (*tabs, "`cnn_mask`")}
    for _ in range(runs):
        for name, tab in tabs.items():
            found[name].append(tab.evaluate("run()"))
        began = time.perf_counter()
        stages.cnn_mask(values)
        found["`cnn_mask`"].append(1000 * (time.perf_counter() - began))
    for tab in tabs.values():
        tab.close()
    return found, loading


def compared(browser, url: str, models: str) -> list[str]:
    """Return the cells of a line: isolated or not, threads, and the largest difference of each photograph's mask."""
    tab = browser.new_page()
    tab.goto(url)
    cells = []
    for name in PHOTOGRAPHS:
        photograph = getattr(data, name)()
        image = photograph if photograph.ndim == 3 else np.repeat(photograph[..., None], 3, 2)
        png = base64.b64encode(cv2.imencode(".png", image[..., ::-1])[1]).decode()
        isolated, threads, text = tab.evaluate(MASK, [png, models])
        found = np.frombuffer(base64.b64decode(text), np.float32).reshape(image.shape[:2])
        cells.append(f"{np.abs(found - stages.cnn_mask(image.astype(np.float32) / 255)).max():.1e}")
    tab.close()
    return ["yes" if isolated else "no", str(threads), *cells]


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing of it."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class StaticHost:
    """A host of static files with the demo of the site: no header but what a file needs."""

    def __enter__(self) -> str:
        self.folder = tempfile.TemporaryDirectory()
        subprocess.run([sys.executable, ROOT / "docs" / "browser_demo.py", self.folder.name], check=True)
        demo = Path(self.folder.name, "browser")
        (demo / "index.html").write_text("<!doctype html><title>demo</title>", "utf-8")
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(demo)))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}/"

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.folder.cleanup()


def table(rows: list[list[str]]) -> str:
    """Return rows as Markdown; the first one has the titles."""
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--write", action="store_true", help="put the table into docs/how-to/in-the-browser.md")
    options = parser.parse_args()
    before, port = os.getloadavg()[0], free_port()
    photograph = data.astronaut()
    pictures = {"0.26 MP": photograph, "12 MP": cv2.resize(photograph, (3464, 3464), interpolation=cv2.INTER_CUBIC)}
    rows = {}
    with serving(command_of(port), port, "/health"), sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
        version = browser.version
        with StaticHost() as static:
            masks = [
                compared(browser, f"http://127.0.0.1:{port}/", "/v1/models"),
                compared(browser, static, "/network.json"),
            ]
        for name, image in pictures.items():
            rows[name], loading = measured(image, f"http://127.0.0.1:{port}/", browser, options.runs)
        browser.close()
    where, names = machine(), list(next(iter(rows.values())))
    times = [[name, *(f"{statistics.median(took[each]):.0f}" for each in names)] for name, took in rows.items()]
    agreement = (
        "Largest difference of a pixel of the mask from that of `cnn_mask`, on photographs that come with scikit-image:"
    )
    how = (
        f"Chromium {version.split('.')[0]}, {where['processor']}, {where['cores']} cores, "
        f"load average {before:.1f} before and {os.getloadavg()[0]:.1f} after; medians of {options.runs} runs in turn. "
        f"Loading ONNX Runtime and the network from the same machine took {loading / 1000:.1f} s."
    )
    text = "\n\n".join(
        [agreement, table([["isolated", "threads", *PHOTOGRAPHS], *masks]), how, table([["ms", *names], *times])]
    )
    print(text)
    if options.write:
        page = ROOT / "docs" / "how-to" / "in-the-browser.md"
        page.write_text(fill(page.read_text("utf-8"), {"browser": text}), "utf-8")


if __name__ == "__main__":
    main()
