"""Every architecture under one equal small budget: the same pictures, steps and size.

    python -m benchmarks.architectures                              all that are not done yet, then the table
    python -m benchmarks.architectures --only "coarse;unet"         some of them
    python -m benchmarks.architectures --steps 0 --times            measure the times anew, on an idle machine
    python -m benchmarks.architectures --steps 0 --beside unet      on a busy one: times of rows that have none, about
    python -m benchmarks.architectures --steps 0 --write            only the table, into its page of docs/explanation
    python -m benchmarks.architectures --precision float32          where the processor has no instructions for bfloat16

Each network starts from random weights, and once more from ImageNet's where its encoder has such. It sees each picture
of the budget once, is exported and judged on ECSSD through the stage ``cnn_mask``. Those that see a plate, a trimap or
a mask beside the picture are judged on the same pictures, at the budget's size, given what training gave them, which is
made of the truth; so they stand in a table of their own, beside what the trimap or the mask is worth by itself. Results
lie in ``runs/architectures/results.json``, one network after the other, so that a run that was stopped goes on; a
network that was in the middle goes on from its checkpoint. The page keeps the rows of networks that were not measured
again here; a row whose budget is not the usual one says so. The budget is small: the table says which network learns
most from little, not which is best in the end.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from onnxruntime import InferenceSession

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from quality import data_folder, spread

from benchmarks.pages import block, named, rows_of, write
from bgkit import stages
from bgkit.evaluate.datasets import open_dataset
from bgkit.evaluate.metrics import score, summarize
from bgkit.evaluate.samples import Sample
from bgkit.models.card import CHANNELS
from bgkit.models.session import start
from bgkit.threads import threads
from bgkit.train import data as training
from bgkit.train import scoring
from bgkit.train.counting import count
from bgkit.train.export import export
from bgkit.train.loop import train
from bgkit.train.networks import NETWORKS, build
from bgkit.train.pictures import Pictures, read_grounds, read_pictures
from bgkit.train.recipe import Data, Recipe
from bgkit.train.recipefile import dump_recipe, read_recipe
from bgkit.train.scoring import MEASURED

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "explanation" / "architectures-compared.md"
FIGURES = ("F max", "MAE", "IoU")
COSTS = ("parameters, M", "GMAC", "ONNX, ms", "training, s a picture")
BUDGET = {"steps": 60, "batch": 8, "side": 128, "pictures": 200, "precision": "bfloat16"}  # pictures of ECSSD
HELD = 8  # pictures to validate with; they choose nothing, as there is one epoch

RECIPE = """
bgkit: 1
network: {network}
start: {start}
epochs: 1
batch: {batch}
sizes: [{side}]
average: 0.95
precision: {precision}
optimizer: {{kind: adamw, learning_rate: 1e-3, weight_decay: 0.01}}
schedule: {{kind: cosine, warmup: 20}}
split: {{validation: {share}, test: 0}}
"""


# A row for each network, and a second for those whose encoder ImageNet has taught.
TAUGHT = ", ImageNet's weights"
ROWS = [*NETWORKS, *(name + TAUGHT for name, entry in NETWORKS.items() if entry.encoder)]


def recipe_of(row: str, **budget: float | str) -> Recipe:
    """Return the recipe of a row of the table."""
    name = network_of(row)
    taught = row != name
    text = RECIPE.format(
        network=f"{{{name}: {{frozen: true}}}}" if taught else name, start="imagenet" if taught else '""', **budget
    )
    return read_recipe(text, "benchmark")


def network_of(row: str) -> str:
    return row.removesuffix(TAUGHT)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="rows, by semicolon; default: all")
    for name, value in BUDGET.items():
        parser.add_argument(f"--{name}", type=type(value), default=value)
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "architectures")
    parser.add_argument("--times", action="store_true", help="of what is done, measure the times once more")
    parser.add_argument("--beside", help="time rows without a time in turn with this one, by its time in the page")
    parser.add_argument("--untimed", action="store_true", help="on a busy machine: the page shows no times of these")
    parser.add_argument("--write", action="store_true", help=f"also write {PAGE.name} into docs")
    parser.add_argument("--quick", action="store_true", help="coarse, 3 steps, 4 pictures")
    options = parser.parse_args()
    if options.quick:
        options.only, options.steps, options.pictures = options.only or "coarse", 3, 4
        options.output = options.output.with_name("architectures-quick")
    names = options.only.split(";") if options.only else ROWS
    options.output.mkdir(parents=True, exist_ok=True)
    results = Results(options.output / "results.json")
    if options.steps:
        budget = {name: getattr(options, name) for name in BUDGET}
        waiting = [name for name in names if results.found.get(name, {}).get("budget") != budget]
        given = read_budget(options.steps * options.batch, options.output) if waiting else None
        for name in waiting:
            print(f"{name} ...", file=sys.stderr, flush=True)
            row = measure(name, budget, options.output, given)
            results.put(name, {"budget": budget, **row, "timed": not options.untimed})
            print(f"{name}: {results.found[name]}", file=sys.stderr, flush=True)
    if options.times:
        for name, row in results.found.items():
            budget = row["budget"]
            row["onnx_ms"] = run_time(name, options.output / f"{file_name(name)}.onnx", budget["side"])
            row["training_s"] = step_time(name, budget) / budget["batch"]
            results.put(name, {**row, "timed": True})
            print(f"{name}: {row['training_s']:.3f} s, {row['onnx_ms']:.1f} ms", file=sys.stderr, flush=True)
    text = page(results, PAGE.read_text("utf-8"))
    if options.beside:
        text = with_times_beside(text, options.beside, options.side, options.output)
    print(text)
    if options.write:
        PAGE.write_text(text, "utf-8")
        write(
            PAGE,
            {name: block(text, name) for name in named(text)},
            some=True,
            fresh=bool(options.steps or options.times),
        )
    return 0


class Results:
    """What was measured, in a JSON file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: dict[str, dict] = json.loads(path.read_text()) if path.is_file() else {}

    def put(self, name: str, row: dict) -> None:
        self.found[name] = row
        self.path.write_text(json.dumps(self.found, indent=2) + "\n")

    def table(self, before: str) -> str:
        """Return the networks that see the picture alone, best first."""
        titles = ("network", *FIGURES, *COSTS)
        rows = {
            _title(name): (_title(name) + _unlike(row), *_figures(row), *_costs(row))
            for name, row in self.found.items()
            if "given" not in row
        }
        return _table(titles, rows_of(before, titles) | rows)

    def table_of_two(self, before: str) -> str:
        """Return the networks that see something beside the picture, and what that is worth alone."""
        titles = ("network", "given too", "its own MAE", "its own IoU", *FIGURES, *COSTS)
        rows = {
            _title(name): (
                _title(name) + _unlike(row),
                row["given"],
                *(f"{row[key]:.3f}" if key in row else "" for key in ("given_mae", "given_iou")),
                *_figures(row),
                *_costs(row),
            )
            for name, row in self.found.items()
            if "given" in row
        }
        return _table(titles, rows_of(before, titles) | rows)


def _title(row: str) -> str:
    return f"`{network_of(row)}`{row.removeprefix(network_of(row))}"


def _unlike(row: dict) -> str:
    """Return what a row's budget has that is not the page's."""
    budget = {"precision": "bfloat16", **row["budget"]}  # rows of old have no precision
    parts = [f"{value} {name}" if name != "precision" else value for name, value in budget.items()]
    parts = [part for part, name in zip(parts, budget, strict=True) if budget[name] != BUDGET[name]]
    return f" ({', '.join(parts)})" if parts else ""


def file_name(row: str) -> str:
    return row.replace(TAUGHT, "-imagenet")


def _figures(row: dict) -> list[str]:
    return [f"{row[key]:.3f}" for key in ("f_max", "mae", "iou")]


def _costs(row: dict) -> list[str]:
    parameters = f"{row['parameters'] / 1e6:.2f}"
    times = (f"{row['onnx_ms']:.1f}", f"{row['training_s']:.3f}") if row.get("timed", True) else ("", "")
    return [parameters, f"{row['gmac']:.2f}", *times]


def _table(titles: tuple[str, ...], rows: dict[str, tuple[str, ...]]) -> str:
    best_first = sorted(rows.values(), key=lambda row: -float(row[titles.index(FIGURES[0])]))
    lines = [titles, ("---",) * len(titles), *best_first]
    return (
        "\n".join("| " + " | ".join(line) + " |" for line in lines).replace("| --- ", "|---").replace("--- |", "---|")
    )


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
    run = output / f"{file_name(name)}-{budget['steps']}x{batch}x{side}-{budget['precision']}"
    recipe = recipe_of(name, batch=batch, side=side, precision=budget["precision"], share=100 * HELD / len(given[0]))
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
    path = output / f"{file_name(name)}.onnx"
    path.with_suffix(".toml").unlink(missing_ok=True)
    export(run / "last.pt", path)
    entry = NETWORKS[network_of(name)]
    parameters, work = count(build(network_of(name)), side, entry.inputs)
    samples = spread(open_dataset("ecssd", data_folder() / "test/ecssd"), budget["pictures"])
    alone = entry.inputs == ("image",)
    return {
        **(judge(path, samples) if alone else judge_given(name, run / "last.pt", samples, given[1], side)),
        "parameters": parameters,
        "gmac": work / 1e9,
        "onnx_ms": run_time(name, path, side),
        "training_s": float(np.median(before + seconds[1:])) / batch,
        "threads": threads(),
    }


def tell(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def judge(path: Path, samples: list[Sample]) -> dict[str, float]:
    """Score ``cnn_mask`` with the network, maps stretched as the field does."""
    scores = []
    for sample in samples:
        mask = stages.cnn_mask(sample.read_image(), model=str(path))
        scores.append(score(mask, sample.read_truth(), names=MEASURED))
    return dict(summarize(scores))


def judge_given(name: str, checkpoint: Path, samples: list[Sample], grounds: list, side: int) -> dict[str, float | str]:
    """Score a network that sees something made of the truth, and that something by itself where it is a map."""
    entry = NETWORKS[name]
    network = build(name)
    network.load_state_dict(torch.load(checkpoint, weights_only=True)["average"])
    images, truths = zip(*((sample.read_image(), sample.read_truth()) for sample in samples), strict=True)
    pictures = Pictures(*([np.uint8(255 * each + 0.5) for each in part] for part in (images, truths)), [])
    figures: dict[str, float | str] = {"given": ", ".join(entry.inputs[1:])}
    figures |= scoring.measure(network.eval(), pictures, grounds, entry, size=side, seed=0)
    if entry.inputs[-1] in ("mask", "trimap"):
        drawn = training.samples(pictures, grounds, entry, size=side, seed=0)
        alone = [
            score(inputs[-1][0, 0].numpy(), each.truth, names=MEASURED, stretch=False) for each, inputs, _ in drawn
        ]
        figures |= {f"given_{key}": value for key, value in summarize(alone).items() if key != "f_max"}
    return figures


def run_time(name: str, path: Path, side: int) -> float:
    """Return the median time of one picture in ONNX Runtime, in milliseconds."""
    session = start(path, "cpu")
    times = [_seconds(session, _zeros(network_of(name), side)) for _ in range(12)]
    return 1000 * float(np.median(times[2:]))


def with_times_beside(text: str, known: str, side: int, folder: Path) -> str:
    """Return the page with a time for each row without one: the median ratio of runs in turn, times the known time.

    What a run costs depends on the layers alone, so the weights are random.
    """
    lines = text.splitlines()
    (row,) = (line for line in lines if line.startswith(f"| `{known}` |"))
    milliseconds = float(row.split("|")[-3])
    beside = _feed(known, side, folder)
    for number, line in enumerate(lines):
        cells = line.split("|")
        name = cells[1].split("`")[1] if line.startswith("| `") else ""
        if name and not cells[-3].strip():
            one = _feed(name, side, folder)
            ratios = [_seconds(*one) / _seconds(*beside) for _ in range(16)][1:]
            cells[-3] = f" ≈ {milliseconds * float(np.median(ratios)):.0f} "
            lines[number] = "|".join(cells)
            print(f"{name}: {np.median(ratios):.2f} of {known}", file=sys.stderr, flush=True)
    return "\n".join(lines) + "\n"


def _feed(name: str, side: int, folder: Path) -> tuple[InferenceSession, dict[str, np.ndarray]]:
    """Return a session of a network with random weights, and zeros to feed it with."""
    recipe = recipe_of(name, batch=8, side=side, precision="float32", share=10)
    checkpoint = folder / "random.pt"
    torch.save({"average": build(name).state_dict(), "recipe": dump_recipe(recipe)}, checkpoint)
    path = folder / "random.onnx"
    path.with_suffix(".toml").unlink(missing_ok=True)
    export(checkpoint, path)
    return start(path, "cpu"), _zeros(name, side)


def _zeros(name: str, side: int) -> dict[str, np.ndarray]:
    return {layer: np.zeros((1, CHANNELS[layer], side, side), np.float32) for layer in NETWORKS[name].inputs}


def _seconds(session: InferenceSession, feed: dict[str, np.ndarray]) -> float:
    started = time.perf_counter()
    session.run(None, feed)
    return time.perf_counter() - started


def step_time(name: str, budget: dict) -> float:
    """Return the median time of a step of training on noise, in seconds."""
    side, batch = budget["side"], budget["batch"]
    recipe = recipe_of(name, batch=batch, side=side, precision=budget["precision"], share=50)
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (side, side, 3), np.uint8) for _ in range(10 * batch)]
    masks = [np.pad(np.full((side // 2, side // 2), 255, np.uint8), side // 4) for _ in images]
    given = Pictures(images, masks, [str(number) for number in range(len(images))], "noise"), []
    ends: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        train(recipe, Path(folder), say=lambda _: None, on_step=lambda _: ends.append(time.perf_counter()), given=given)
    return float(np.median(np.diff(ends)))


def page(results: Results, before: str) -> str:
    """Return the page with what was measured, and with the rows that it had of all other networks."""
    b = BUDGET
    each = (
        f"{b['steps']} steps of {b['batch']} pictures at {b['side']} px in {b['precision']}, "
        f"judged on {b['pictures']} pictures of ECSSD"
    )
    return f"""# The architectures under one small budget

Every network of `bgkit/train/networks`, on the same pictures in the same order: {each}.
Where a row had another budget, or began with other than random weights, its name is followed by what differs.
AdamW 1e-3 with cosine decay, cross entropy and soft IoU, or the paper's own loss where it has one.
**This is a small budget**: each picture is seen once, a thousandth of what the papers train.
It shows which network learns most from little and what each costs, not which is best in the end.
One seed: differences of a few hundredths of F max mean little.
Rows made again with samples drawn in another order moved by as much.
Times are of two cores that may have been shared; rows that were trained beside other work have no time of training.
A time with ≈ is from a busy machine: the median ratio to runs of `unet` in turn with it, times the time of `unet`.
It is good to about a third: `wss` and `wss-tags` are one network when they run.
What ImageNet taught is worth more than any architecture here: compare the two rows of `pyramid-lite0`.
`wss-tags` learns from whether there is a subject, and sees no mask.
`wss`, its second stage, begins anew here and sees the same masks as the others.
One command makes the table, and resumes it where it was stopped: `python -m benchmarks.architectures --write`.

<!-- measured: alone -->
{results.table(before)}
<!-- /measured -->

## Networks that are given more than the picture

A trimap or a coarse mask is made of the truth, as training makes it.
A plate is what the subject was pasted on, and a next frame the picture with its parts moved.
So these figures do not compare with those above: read them against what the trimap or the mask is worth by itself.
Judged at the size they were trained at, maps not stretched.

<!-- measured: given -->
{results.table_of_two(before)}
<!-- /measured -->
"""


if __name__ == "__main__":
    sys.exit(main())
