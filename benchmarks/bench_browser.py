"""The embedded network in Chromium: how far its mask is from the stage's, and the milliseconds of both.

    python -m benchmarks.bench_browser [--runs N] [--write]
    python -m benchmarks.bench_browser --simd FOLDER [--write]      what SIMD is worth, alone

Masks are compared on five photographs, twice: on the page of a server of its own, which is isolated from other origins,
so that WASM has threads, and on a host of static files that sends no such headers, where it has one.

For the times, pictures are a photograph of 0.26 MP, whose subject needs no closer look, and the same at 12 MP, on the
server's page. Runs of the three ways take turns, so that a busy machine slows all of them; the table has medians,
reading and writing left out. `--write` puts the tables into docs/how-to/in-the-browser.md.

ONNX Runtime has been built with SIMD only since 1.19, so what SIMD is worth is measured with 1.18: FOLDER holds what
`npm install onnxruntime-web@1.18.0` puts into node_modules/onnxruntime-web/dist. One run of the network alone, on one
thread, in three tabs in turn.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np
from playwright.sync_api import sync_playwright
from skimage import data

from benchmarks.bench_serve import command_of, free_port, serving
from benchmarks.pages import write
from bgkit import stages
from bgkit.machine import machine
from bgkit.models.store import show

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "how-to" / "in-the-browser.md"
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu")
PHOTOGRAPHS = ("astronaut", "camera", "chelsea", "coffee", "rocket")  # of scikit-image
MASK = """async ([png, folder, models]) => {
    const { load, maskOf } = await import(folder + "network.js");
    const { browser } = [await (await fetch(models)).json()].flat().find(({ browser }) => browser);
    const bitmap = await createImageBitmap(new Blob([Uint8Array.from(atob(png), (letter) => letter.charCodeAt(0))]));
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
    context.drawImage(bitmap, 0, 0);
    const network = await load(browser, new URL(folder, document.baseURI));
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

SIMD = """async ([runtime, settings, network]) => {
    const module = await import(runtime);
    const ort = module.env ? module : module.default;
    Object.assign(ort.env.wasm, { numThreads: 1, ...settings });
    const file = new Uint8Array(await (await fetch(network)).arrayBuffer());
    const session = await ort.InferenceSession.create(file, { executionProviders: ["wasm"] });
    const [name] = session.inputNames, data = Float32Array.from({ length: 3 * 320 * 320 }, (_, at) => Math.sin(at));
    globalThis.run = async () => {
        const began = performance.now();
        await session.run({ [name]: new ort.Tensor("float32", data, [1, 3, 320, 320]) });
        return performance.now() - began;
    };
    await run();
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


def compared(browser, url: str, folder: str, models: str) -> list[str]:
    """Return the cells of a line: isolated or not, threads, and the largest difference of each photograph's mask.

    ``folder`` is where network.js lies on the host, ``models`` where it says which network there is.
    """
    tab = browser.new_page()
    tab.goto(url)
    cells = []
    for name in PHOTOGRAPHS:
        photograph = getattr(data, name)()
        image = photograph if photograph.ndim == 3 else np.repeat(photograph[..., None], 3, 2)
        png = base64.b64encode(cv2.imencode(".png", image[..., ::-1])[1]).decode()
        isolated, threads, text = tab.evaluate(MASK, [png, folder, models])
        found = np.frombuffer(base64.b64decode(text), np.float32).reshape(image.shape[:2])
        cells.append(f"{np.abs(found - stages.cnn_mask(image.astype(np.float32) / 255)).max():.1e}")
    tab.close()
    return ["yes" if isolated else "no", str(threads), *cells]


def worth_of_simd(browser, dist: Path, runs: int) -> str:
    """Return a table of the network's milliseconds with each build of ONNX Runtime, and how they were measured."""
    before = os.getloadavg()[0]
    new = json.loads((ROOT / "build/npm/node_modules/onnxruntime-web/package.json").read_text())["version"]
    old = json.loads((dist.parent / "package.json").read_text())["version"]
    builds = {
        f"{old}, without SIMD": ("/old/esm/ort.wasm.min.js", {"simd": False, "wasmPaths": "/old/"}),
        f"{old}, with SIMD": ("/old/esm/ort.wasm.min.js", {"simd": True, "wasmPaths": "/old/"}),
        f"{new}, with SIMD": (
            "/browser/ort/ort.wasm.bundle.min.mjs",
            {"wasmPaths": {"wasm": "/browser/ort/ort-wasm-simd-threaded.wasm"}},
        ),
    }
    tabs = {}
    with static_host() as (url, folder):
        shutil.copytree(dist, folder / "old")
        for name, (runtime, settings) in builds.items():
            tabs[name] = browser.new_page()
            tabs[name].goto(f"{url}how-to/")
            tabs[name].evaluate(SIMD, [runtime, settings, f"/browser/{show('coarse').file.name}"])
        took = {name: [] for name in tabs}
        for _ in range(runs):
            for name, tab in tabs.items():
                took[name].append(tab.evaluate("run()"))
    slow, fast, _ = took.values()
    factor = statistics.median(one / other for one, other in zip(slow, fast, strict=True))
    rows = [["ONNX Runtime", "ms"], *([name, f"{statistics.median(times):.0f}"] for name, times in took.items())]
    return (
        f"{how_measured(browser, before, runs)} One run of the network alone, on one thread: "
        f"SIMD makes it {factor:.1f} times as fast (median of the pairs).\n\n{table(rows)}"
    )


def how_measured(browser, before: float, runs: int) -> str:
    where = machine()
    return (
        f"Chromium {browser.version.split('.')[0]}, {where['processor']}, {where['cores']} cores, "
        f"load average {before:.1f} before and {os.getloadavg()[0]:.1f} after; medians of {runs} runs in turn."
    )


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing of it."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def static_host() -> Iterator[tuple[str, Path]]:
    """Show the site's demo on a host of static files, which sends no header but what a file needs.

    Yields its address, of which ``how-to/`` has the demo, and its folder.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([sys.executable, ROOT / "docs" / "browser_demo.py", folder], check=True)
        demo = re.search(r"```{raw} html\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)[1]
        (folder / "how-to").mkdir()
        text = f'<!doctype html><link rel="icon" href="data:,"><title>demo</title>{demo}'
        (folder / "how-to" / "index.html").write_text(text, "utf-8")
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", folder
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def table(rows: list[list[str]]) -> str:
    """Return rows as Markdown; the first one has the titles."""
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument(
        "--simd", type=Path, metavar="FOLDER", help="what SIMD is worth, by ONNX Runtime 1.18 in FOLDER"
    )
    parser.add_argument("--write", action="store_true", help="put the tables into docs/how-to/in-the-browser.md")
    options = parser.parse_args()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
        if options.simd:
            name, text = "simd", worth_of_simd(browser, options.simd, options.runs)
        else:
            name, text = "browser", compared_and_timed(browser, options.runs)
        browser.close()
    print(text)
    if options.write:
        write(PAGE, {name: text})


def compared_and_timed(browser, runs: int) -> str:
    """Return the tables of masks and of milliseconds, and how they were measured."""
    before, port = os.getloadavg()[0], free_port()
    photograph = data.astronaut()
    pictures = {"0.26 MP": photograph, "12 MP": cv2.resize(photograph, (3464, 3464), interpolation=cv2.INTER_CUBIC)}
    rows = {}
    with serving(command_of(port), port, "/health"):
        with static_host() as (url, _):
            masks = [
                compared(browser, f"http://127.0.0.1:{port}/", "/", "/v1/models"),
                compared(browser, f"{url}how-to/", "/browser/", "/browser/network.json"),
            ]
        for name, image in pictures.items():
            rows[name], loading = measured(image, f"http://127.0.0.1:{port}/", browser, runs)
    names = list(next(iter(rows.values())))
    times = [[name, *(f"{statistics.median(took[each]):.0f}" for each in names)] for name, took in rows.items()]
    agreement = (
        "Largest difference of a pixel of the mask from that of `cnn_mask`, on photographs that come with scikit-image:"
    )
    how = (
        f"{how_measured(browser, before, runs)} "
        f"Loading ONNX Runtime and the network from the same machine took {loading / 1000:.1f} s."
    )
    return "\n\n".join(
        [agreement, table([["isolated", "threads", *PHOTOGRAPHS], *masks]), how, table([["ms", *names], *times])]
    )


if __name__ == "__main__":
    main()
