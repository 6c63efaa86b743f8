"""A stroke of the brush and a parameter's preview on the page: from the hand to the picture, and where the time goes.

    python -m benchmarks.bench_page [--runs N] [--pipeline NAME]

The picture is a photograph of 1 MP in Chromium at a server of its own, with one worker. A stroke counts from the
button's release to its first answer on the screen; a preview from the key that moves a slider. Of each, the table has
the median of all runs and of its parts: the worker's seconds as the answer says them, the rest of the request
(upload, queue, answer), and the page's own (reducing, encoding, decoding, drawing). Processor seconds are those of
server and workers together and of the browser, for strokes with the full size that follows them.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
from playwright.sync_api import Page, sync_playwright
from skimage import data

from benchmarks.bench_browser import FLAGS, table
from benchmarks.bench_serve import command_of, free_port, serving
from bgkit.machine import machine

DONE = """document.querySelector("li[data-state=done]") && document.querySelector("#chip").hidden"""
# Notes when each request was sent and answered, and when the chip's word or the picture on the stage changed.
WATCH = """() => {
    const plain = fetch;
    globalThis.notes = [];
    globalThis.began = 0;
    globalThis.fetch = async (...all) => {
        const note = { sent: performance.now() };
        const answer = await plain(...all);
        const text = await answer.clone().text();
        const timing = answer.headers.get("Server-Timing") ?? "";
        if (note.sent > began) notes.push(Object.assign(note, { came: performance.now(), timing }));
        return new Response(text, { status: answer.status, headers: answer.headers });
    };
    const image = document.querySelector("#two .picture");
    // What loads before the answer is the old picture, drawn anew.
    const answered = () => requestAnimationFrame(() => notes.length && (globalThis.drawn ||= performance.now()));
    image.addEventListener("load", answered);
    for (const kind of ["pointerup", "keydown"])
        addEventListener(kind, () => { notes.length = 0; drawn = 0; globalThis.began = performance.now(); }, true);
}"""


def processor(root: int) -> float:
    """Return the processor seconds of a process and of all below it, those that have ended aside."""
    listed = subprocess.check_output(["ps", "-e", "-o", "pid=,ppid=,cputimes="], text=True)
    below: dict[int, list[int]] = {}
    for pid, parent, _ in (map(int, line.split()) for line in listed.splitlines()):
        below.setdefault(parent, []).append(pid)
    ticks, waiting = 0.0, [root]
    while waiting:
        pid = waiting.pop()
        waiting += below.get(pid, [])
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def until(tab: Page, expression: str) -> None:
    """Wait until an expression is true; Playwright's own wait compiles text, which the page forbids."""
    end = time.monotonic() + 300
    while not tab.evaluate(expression):
        if time.monotonic() > end:
            raise SystemExit(f"waited in vain for {expression}")
        time.sleep(0.02)


def parts(tab: Page) -> list[float]:
    """Return the milliseconds from the hand to the picture: all, worker, rest of the request, page."""
    until(tab, "globalThis.drawn > 0 && notes.length > 0")
    whole = tab.evaluate("drawn - began")
    note = tab.evaluate("notes[0]")
    worker = sum(float(each) for each in re.findall(r"dur=([\d.]+)", note["timing"]))
    request = note["came"] - note["sent"]
    return [whole, worker, request - worker, whole - request]


def settle(tab: Page) -> None:
    """Wait until the picture is done at full size."""
    time.sleep(0.6)
    until(tab, DONE)


def strokes(tab: Page, runs: int, pids: tuple[int, int]) -> tuple[list[list[float]], list[float]]:
    """Paint, undo and paint again; return the parts of each answer, and processor seconds a stroke."""
    tab.get_by_role("radio", name="Brush", exact=True).check()
    settle(tab)
    box = tab.locator("#two .stack").bounding_box()
    assert box is not None
    found, before = [], [processor(pid) for pid in pids]
    for run in range(runs):
        row = box["y"] + box["height"] * (0.2 + 0.5 * run / runs)
        tab.mouse.move(box["x"] + box["width"] * 0.15, row)
        tab.mouse.down()
        tab.mouse.move(box["x"] + box["width"] * 0.25, row + 10, steps=5)
        tab.mouse.up()
        found.append(parts(tab))
        settle(tab)
    return found, [(processor(pid) - start) / runs for pid, start in zip(pids, before, strict=True)]


def previews(tab: Page, runs: int, pids: tuple[int, int]) -> tuple[list[list[float]], list[float]]:
    """Move a slider of the trimap's by keys; return the same."""
    tab.get_by_role("radio", name="Result", exact=True).check()
    tab.fill("#filter", "make trimap width")
    slider = tab.locator(".param[data-name='make_trimap.width'] input[type=range]")
    slider.focus()
    settle(tab)
    found, before = [], [processor(pid) for pid in pids]
    for _ in range(runs):
        tab.keyboard.press("ArrowRight")
        found.append(parts(tab))
        settle(tab)
    return found, [(processor(pid) - start) / runs for pid, start in zip(pids, before, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Times of the page's brush and previews.")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--pipeline", default="auto")
    options = parser.parse_args()
    before, port = os.getloadavg()[0], free_port()
    photograph = cv2.resize(data.astronaut(), (1000, 1000), interpolation=cv2.INTER_CUBIC)
    content = cv2.imencode(".jpg", photograph[..., ::-1])[1].tobytes()
    rows = [["", "ms", "worker", "rest of the request", "page", "processor s: server", "browser"]]
    with serving(command_of(port), port, "/health") as server, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
        tab = browser.new_page(viewport={"width": 1280, "height": 820})
        tab.goto(f"http://127.0.0.1:{port}/")
        tab.wait_for_selector("body.ready")
        tab.select_option("#pipeline", options.pipeline)
        file = {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": content}
        tab.set_input_files("#files", [file])  # type: ignore[list-item]
        settle(tab)
        tab.evaluate(WATCH)
        listed = subprocess.check_output(["ps", "-e", "-o", "pid=,ppid=,args="], text=True).splitlines()
        driven = {int(line.split()[0]): int(line.split()[1]) for line in listed}
        chromium = next(
            pid
            for pid in driven
            if "remote-debugging-pipe" in _words(listed, pid) and "--type=" not in _words(listed, pid)
        )
        for name, way in (("stroke", strokes), ("preview", previews)):
            times, seconds = way(tab, options.runs, (server.pid, chromium))
            medians = [f"{statistics.median(each):.0f}" for each in zip(*times, strict=True)]
            rows.append([name, *medians, *(f"{each:.2f}" for each in seconds)])
        browser.close()
    where = machine()
    print(
        f"1 MP, {options.pipeline}; {where['processor']}, {where['cores']} cores, load average {before:.1f} before and "
        f"{os.getloadavg()[0]:.1f} after; medians of {options.runs} runs.\n\n{table(rows)}"
    )


def _words(listed: list[str], pid: int) -> str:
    return next((line for line in listed if line.split()[0] == str(pid)), "")


if __name__ == "__main__":
    main()
