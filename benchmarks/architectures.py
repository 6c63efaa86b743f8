"""Every mask architecture under one equal small budget: the same pictures, steps and size.

    python -m benchmarks.architectures                              all that are not done yet, then the table
    python -m benchmarks.architectures --only coarse,unet           some of them
    python -m benchmarks.architectures --steps 0 --times            measure the times anew, on an idle machine
    python -m benchmarks.architectures --steps 0 --write            only the table, into docs/architectures-compared.md

Each network starts from random weights, sees each picture of the budget once, is exported and judged on ECSSD through
the stage ``cnn_mask``. Results lie in ``runs/architectures/results.json``, one network after the other, so that a run
that was stopped goes on; a network that was in the middle goes on from its checkpoint.
The budget is small: the table says which network learns most from little, not which is best in the end.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from quality import data_folder, spread

from bgkit import stages
from bgkit.evaluate.datasets import open_dataset
from bgkit.evaluate.metrics import score, summarize
from bgkit.models.session import start
from bgkit.threads import threads
from bgkit.train.counting import count
from bgkit.train.export import export
from bgkit.train.loop import train
from bgkit.train.networks import NETWORKS, build
from bgkit.train.pictures import Pictures, read_grounds, read_pictures
from bgkit.train.recipe import Data
from bgkit.train.recipefile import read_recipe

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architectures-compared.md"
HELD = 8  # pictures to validate with; they choose nothing, as there is one epoch

RECIPE = """
bgkit: 1
network: {name}
epochs: 1
batch: {batch}
sizes: [{side}]
average: 0.95
precision: bfloat16
optimizer: {{kind: adamw, learning_rate: 1e-3, weight_decay: 0.01}}
schedule: {{kind: cosine, warmup: 20}}
split: {{validation: {share}, test: 0}}
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="names, by comma; default: every network whose only input is the picture")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--limit", type=int, default=200, help="pictures of ECSSD to judge on")
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "architectures")
    parser.add_argument("--times", action="store_true", help="of what is done, measure the times once more")
    parser.add_argument("--write", action="store_true", help=f"also write {PAGE.name} into docs")
    parser.add_argument("--quick", action="store_true", help="coarse, 3 steps, 4 pictures")
    options = parser.parse_args()
    if options.quick:
        options.only, options.steps, options.limit = options.only or "coarse", 3, 4
        options.output = options.output.with_name("architectures-quick")
    names = [name for name, entry in NETWORKS.items() if entry.inputs == ("image",)]
    if options.only:
        names = options.only.split(",")
    options.output.mkdir(parents=True, exist_ok=True)
    results = Results(options.output / "results.json")
    if options.steps:
        budget = {"steps": options.steps, "batch": options.batch, "side": options.side, "pictures": options.limit}
        waiting = [name for name in names if results.found.get(name, {}).get("budget") != budget]
        given = read_budget(options.steps * options.batch, options.output) if waiting else None
        for name in waiting:
            print(f"{name} ...", file=sys.stderr, flush=True)
            results.put(name, {"budget": budget, **measure(name, budget, options.output, given)})
            print(f"{name}: {results.found[name]}", file=sys.stderr, flush=True)
    if options.times:
        for name, row in results.found.items():
            budget = row["budget"]
            row["onnx_ms"] = run_time(options.output / f"{name}.onnx", budget["side"])
            row["training_s"] = step_time(name, budget["side"], budget["batch"]) / budget["batch"]
            results.put(name, row)
            print(f"{name}: {row['training_s']:.3f} s, {row['onnx_ms']:.1f} ms", file=sys.stderr, flush=True)
    table = results.table()
    print(table)
    if options.write:
        PAGE.write_text(page(table, results))
    return 0


class Results:
    """What was measured, in a JSON file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: dict[str, dict] = json.loads(path.read_text()) if path.is_file() else {}

    def put(self, name: str, row: dict) -> None:
        self.found[name] = row
        self.path.write_text(json.dumps(self.found, indent=2) + "\n")

    def table(self) -> str:
        titles = "network", "F max", "MAE", "IoU", "parameters, M", "GMAC", "ONNX, ms", "training, s a picture"
        lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
        for name, row in sorted(self.found.items(), key=lambda item: -item[1]["f_max"]):
            lines.append(
                f"| `{name}` | {row['f_max']:.3f} | {row['mae']:.3f} | {row['iou']:.3f} "
                f"| {row['parameters'] / 1e6:.2f} | {row['gmac']:.2f} "
                f"| {row['onnx_ms']:.1f} | {row['training_s']:.3f} |"
            )
        return "\n".join(lines)


def read_budget(wanted: int, output: Path) -> tuple[Pictures, list]:
    """Return as many training pictures as the budget needs, of as few shards as have them, and the textures.

    The shards are in random order, so that each is a fair part of the whole.
    """
    shards = sorted((data_folder() / "train").glob("train-*.tar"))
    for number in range(1, len(shards) + 1):
        folder = output / f"shards-{number}"
        folder.mkdir(exist_ok=True)
        for shard in [*shards[:number], data_folder() / "train" / "backgrounds.tar"]:
            if not (folder / shard.name).exists():
                (folder / shard.name).symlink_to(shard)
        data = Data(folder=str(folder), layout="shards", long_side=200)
        pictures = read_pictures(data)
        if wanted + HELD <= len(pictures):
            part = pictures.part(np.arange(wanted + HELD))
            mark = f"{pictures.fingerprint}/{wanted}"
            return Pictures(part.images, part.masks, part.names, mark), read_grounds(data)
    sys.exit(f"--steps times --batch: expected at most {len(pictures) - HELD} pictures, got {wanted}")


def measure(name: str, budget: dict, output: Path, given: tuple[Pictures, list]) -> dict:
    """Train, export and judge one network."""
    side, batch = budget["side"], budget["batch"]
    run = output / f"{name}-{budget['steps']}x{batch}x{side}"
    text = RECIPE.format(name=name, batch=batch, side=side, share=100 * HELD / len(given[0]))
    recipe = read_recipe(text, "benchmark")
    seconds: list[float] = []
    last = time.perf_counter()

    def on_step(_: object) -> None:
        nonlocal last
        now = time.perf_counter()
        seconds.append(now - last)
        last = now

    kept = run / "seconds.json"  # of the steps before a stop
    before = json.loads(kept.read_text()) if kept.is_file() else []
    try:
        train(recipe, run, say=tell, on_step=on_step, given=given)
    finally:
        if run.is_dir():
            kept.write_text(json.dumps(before + seconds[1:]))  # the first one holds the start too
    path = output / f"{name}.onnx"
    export(run / "last.pt", path)
    parameters, work = count(build(name), side)
    figures = judge(path, budget["pictures"])
    return {
        **{key: figures[key] for key in ("f_max", "mae", "iou")},
        "parameters": parameters,
        "gmac": work / 1e9,
        "onnx_ms": run_time(path, side),
        "training_s": float(np.median(before + seconds[1:])) / batch,
        "threads": threads(),
    }


def tell(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def judge(path: Path, limit: int) -> dict[str, float]:
    """Score ``cnn_mask`` with the network on ECSSD, maps stretched as the field does."""
    samples = spread(open_dataset("ecssd", data_folder() / "test/ecssd"), limit)
    scores = []
    for sample in samples:
        mask = stages.cnn_mask(sample.read_image(), model=str(path))
        scores.append(score(mask, sample.read_truth(), names=("f_max", "mae", "iou")))
    return dict(summarize(scores))


def run_time(path: Path, side: int) -> float:
    """Return the median time of one picture in ONNX Runtime, in milliseconds."""
    session = start(path, "cpu")
    feed = {session.get_inputs()[0].name: np.zeros((1, 3, side, side), np.float32)}
    times = []
    for _ in range(12):
        started = time.perf_counter()
        session.run(None, feed)
        times.append(time.perf_counter() - started)
    return 1000 * float(np.median(times[2:]))


def step_time(name: str, side: int, batch: int) -> float:
    """Return the median time of a step of training on noise, in seconds."""
    recipe = read_recipe(RECIPE.format(name=name, batch=batch, side=side, share=50), "benchmark")
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (side, side, 3), np.uint8) for _ in range(10 * batch)]
    masks = [np.pad(np.full((side // 2, side // 2), 255, np.uint8), side // 4) for _ in images]
    given = Pictures(images, masks, [str(number) for number in range(len(images))], "noise"), []
    ends: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        train(recipe, Path(folder), say=lambda _: None, on_step=lambda _: ends.append(time.perf_counter()), given=given)
    return float(np.median(np.diff(ends)))


def page(table: str, results: Results) -> str:
    budgets = {json.dumps(row["budget"], sort_keys=True) for row in results.found.values()}
    told = [json.loads(text) for text in sorted(budgets)]
    each = "; ".join(
        f"{b['steps']} steps of {b['batch']} pictures at {b['side']} px, judged on {b['pictures']} pictures of ECSSD"
        for b in told
    )
    return f"""# The architectures under one small budget

Every mask network of `bgkit/train/networks`, from random weights, on the same pictures in the same order: {each}.
AdamW 1e-3 with cosine decay, bfloat16, cross entropy and soft IoU, or the paper's own loss where it has one.
**This is a small budget**: each picture is seen once, a thousandth of what the papers train.
It shows which network learns most from little and what each costs, not which is best in the end.
One seed: differences of a few hundredths mean little.
Times are of two cores that may have been shared.
One command makes the table and goes on where it was stopped: `python -m benchmarks.architectures --write`.

{table}
"""


if __name__ == "__main__":
    sys.exit(main())
