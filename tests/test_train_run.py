"""A run: resumed as if never stopped, refused when it would be another, and what it leaves in its folder."""

from __future__ import annotations

import itertools
import json
import signal
import sys

import cv2
import pytest

torch = pytest.importorskip("torch", reason="training needs bgkit[train]")
pytest.importorskip("matplotlib", reason="curves need bgkit[train]")

from train_pictures import add_tiny, draw_folder  # noqa: E402

from bgkit.errors import RecipeError  # noqa: E402
from bgkit.train import loop  # noqa: E402
from bgkit.train.loop import train  # noqa: E402
from bgkit.train.recipefile import read_recipe  # noqa: E402
from bgkit.train.record import read_log, write_line  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return draw_folder(tmp_path_factory.mktemp("drawn") / "pictures")


def recipe(folder, text: str = "network: tiny"):
    given = f"bgkit: 1\n{text}\nthreads: 1\nbatch: 3\ndata: {{folder: {folder}}}\nsplit: {{validation: 17, test: 17}}\n"
    return read_recipe(
        given + ("" if "epochs" in text else "epochs: 2\n") + ("" if "sizes" in text else "sizes: [16, 24]\n")
    )


def run(chosen, place, stop: int = 0):
    def on_step(now):
        if now.step == stop:
            raise KeyboardInterrupt

    if stop:
        with pytest.raises(KeyboardInterrupt):
            train(chosen, place, say=lambda text: None, on_step=on_step)
    else:
        train(chosen, place, say=lambda text: None)
    return torch.load(place / "last.pt", weights_only=True)


def same(one, two, where: str = "") -> None:
    """Every number of two checkpoints is the same, bit for bit."""
    if isinstance(one, dict):
        assert one.keys() == two.keys(), where
        for key in one:
            same(one[key], two[key], f"{where}/{key}")
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(two), where
        for number, (a, b) in enumerate(zip(one, two, strict=True)):
            same(a, b, f"{where}/{number}")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, two), where
    else:
        assert one == two, where


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        (("image",), "network: tiny"),
        (("image",), "network: tiny\noptimizer: {kind: rmsprop, momentum: 0.5}\nschedule: {kind: exponential}"),
        (("image",), "network: {tiny: {width: 6}}\noptimizer: {kind: muon}\nprecision: bfloat16"),
        (("image",), "network: tiny\noptimizer: {kind: sgd}\nloss: {ssim: 1, supervision: equal}"),
        (("image", "plate"), "network: tiny"),
        (("image", "trimap"), "network: tiny"),
        (("image", "mask"), "network: tiny"),
    ],
    ids=["adamw", "rmsprop", "muon-bfloat16", "sgd", "plate", "trimap", "mask"],
)
def test_resumed_run_equals_unbroken(folder, tmp_path, monkeypatch, inputs, text):
    """Stopped within an epoch, and again at an epoch's very end, a run with dropout ends with the same bits."""
    add_tiny(monkeypatch, inputs=inputs)
    chosen = recipe(folder, text)
    unbroken = run(chosen, tmp_path / "unbroken")
    run(chosen, tmp_path / "broken", stop=1)
    run(chosen, tmp_path / "broken", stop=2)
    run(chosen, tmp_path / "broken", stop=4)
    broken = run(chosen, tmp_path / "broken")
    assert unbroken["step"] == 4
    same(unbroken, broken)
    for name in ("log.jsonl", "test.json", "samples/epoch-001.png"):
        assert (tmp_path / "unbroken" / name).read_bytes() == (tmp_path / "broken" / name).read_bytes(), name
    best = [torch.load(tmp_path / each / "best.pt", weights_only=True) for each in ("unbroken", "broken")]
    same(*best)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_within_a_step_waits_for_its_end(folder, tmp_path, monkeypatch, number):
    """Ctrl-C while a network computes leaves no half step behind: the resumed run ends with the same bits."""
    add_tiny(monkeypatch)
    unbroken = run(recipe(folder), tmp_path / "unbroken")
    real, steps = loop.deep_supervision, itertools.count(1)

    def interrupted(*given):
        if next(steps) == 2:
            signal.raise_signal(number)
        return real(*given)

    monkeypatch.setattr(loop, "deep_supervision", interrupted)
    # As the command line has them: a shell starts what runs in the background with SIGINT ignored.
    before = signal.signal(signal.SIGTERM, lambda got, _: sys.exit(128 + got))
    before_int = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            train(recipe(folder), tmp_path / "broken", say=lambda text: None)
        assert torch.load(tmp_path / "broken" / "last.pt", weights_only=True)["step"] == 2
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGINT, before_int)
    same(unbroken, run(recipe(folder), tmp_path / "broken"))


def test_a_step_that_breaks_is_not_saved(folder, tmp_path, monkeypatch):
    """What fails within a step leaves the checkpoint from before, from which the run goes on to the same end."""
    add_tiny(monkeypatch)
    unbroken = run(recipe(folder), tmp_path / "unbroken")
    run(recipe(folder), tmp_path / "broken", stop=1)
    with monkeypatch.context() as broken:
        broken.setattr(loop, "deep_supervision", lambda *given: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train(recipe(folder), tmp_path / "broken", say=lambda text: None)
    same(unbroken, run(recipe(folder), tmp_path / "broken"))


def test_a_full_disk_is_told_and_costs_nothing(folder, tmp_path, monkeypatch):
    """The checkpoint from before stays whole, no part of another lies about, and the run goes on from it."""
    add_tiny(monkeypatch)
    unbroken = run(recipe(folder), tmp_path / "unbroken")
    run(recipe(folder), tmp_path / "broken", stop=1)

    def full(state, path):
        path.write_bytes(b"half of it")
        raise RuntimeError("basic_ios::clear: iostream error\nand more")

    with monkeypatch.context() as broken:
        broken.setattr(torch, "save", full)
        with pytest.raises(RecipeError, match=r"(best|last)\.pt: cannot be written, \d+ MB are free there \(basic_ios"):
            train(recipe(folder), tmp_path / "broken", say=lambda text: None)
    assert not list((tmp_path / "broken").glob("*.part"))
    same(unbroken, run(recipe(folder), tmp_path / "broken"))


def test_of_more_sizes_than_epochs_the_last_is_seen(folder, tmp_path, monkeypatch):
    """What the network is scored and exported at, it is trained at."""
    add_tiny(monkeypatch)
    run(recipe(folder, "network: tiny\nepochs: 2\nsizes: [16, 24, 32]"), tmp_path / "run")
    assert [line["size"] for line in read_log(tmp_path / "run")] == [16, 32]


def test_what_is_left_out_is_told(tmp_path, monkeypatch):
    """Pictures without a mask and masks without a picture are counted and named."""
    add_tiny(monkeypatch)
    place = draw_folder(tmp_path / "pictures")
    (place / "masks" / "disk-01.png").unlink()
    (place / "images" / "disk-02.jpg").unlink()
    message = []
    train(recipe(place, "network: tiny\nepochs: 1\nsizes: [16]"), tmp_path / "run", say=message.append)
    assert "left out: 2 without a partner of the same name: images/disk-01.jpg, masks/disk-02.png" in message


def test_dropout_is_in_the_test_above(folder, tmp_path, monkeypatch):
    """Without the generator's state a resumed run differs: the test above would see it."""
    add_tiny(monkeypatch)
    unbroken = run(recipe(folder), tmp_path / "unbroken")
    run(recipe(folder), tmp_path / "broken", stop=1)
    monkeypatch.setattr(torch, "set_rng_state", lambda state: None)
    broken = run(recipe(folder), tmp_path / "broken")
    assert any(not torch.equal(value, broken["network"][name]) for name, value in unbroken["network"].items())


def test_a_run_leaves_what_it_promises(folder, tmp_path, monkeypatch):
    """Recipe in full, facts, split, a line and a sheet for each epoch, curves, checkpoints, the test's figures."""
    add_tiny(monkeypatch)
    chosen = recipe(folder)
    run(chosen, tmp_path / "run")
    assert read_recipe((tmp_path / "run" / "recipe.yaml").read_text()) == chosen
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["pictures"] == {"train": 8, "validation": 2, "test": 2}
    assert {"torch", "numpy", "bgkit", "fingerprint"} <= facts.keys()
    names = json.loads((tmp_path / "run" / "split.json").read_text())
    assert len({*names["train"], *names["validation"], *names["test"]}) == 12
    log = read_log(tmp_path / "run")
    assert [line["epoch"] for line in log] == [1, 2]
    assert [line["size"] for line in log] == [16, 24]
    assert {"loss", "iou", "mae", "f_max"} <= log[0].keys()
    for epoch in (1, 2):
        sheet = cv2.imread(str(tmp_path / "run" / "samples" / f"epoch-{epoch:03}.png"))
        assert sheet.shape == (2 * 24, 4 * 24, 3)
    assert cv2.imread(str(tmp_path / "run" / "curves.png")).shape[1] > 600
    tested = json.loads((tmp_path / "run" / "test.json").read_text())
    assert tested["pictures"] == 2 and 0 <= tested["iou"] <= 1
    best = torch.load(tmp_path / "run" / "best.pt", weights_only=True)
    assert best["figures"]["iou"] == max(line["iou"] for line in log)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("network: tiny\nepochs: 3", "epochs: 2, now 3"),
        ("network: {tiny: {width: 5}}", "network.width: not set, now 5"),
        ("network: tiny\noptimizer: {learning_rate: 1e-4}", "optimizer.learning_rate: 0.001, now 0.0001"),
    ],
)
def test_another_recipe_for_a_run_is_refused(folder, tmp_path, monkeypatch, text, said):
    """The message names what differs; the run stays as it was."""
    add_tiny(monkeypatch)
    run(recipe(folder), tmp_path / "run", stop=1)
    before = (tmp_path / "run" / "last.pt").read_bytes()
    with pytest.raises(RecipeError, match=f"begun with another recipe.*{said}"):
        run(recipe(folder, text), tmp_path / "run")
    assert (tmp_path / "run" / "last.pt").read_bytes() == before


def test_other_pictures_for_a_run_are_refused(tmp_path, monkeypatch):
    """One mask changed; the same pictures in another place are welcome."""
    add_tiny(monkeypatch)
    first = draw_folder(tmp_path / "first")
    run(recipe(first), tmp_path / "run", stop=1)
    moved = first.rename(tmp_path / "moved")
    run(recipe(moved), tmp_path / "run", stop=3)
    mask = moved / "masks" / "disk-00.png"
    cv2.imwrite(str(mask), 255 - cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE))
    with pytest.raises(RecipeError, match="begun with other pictures"):
        run(recipe(moved), tmp_path / "run")


def test_what_cannot_work_is_told_before_anything_is_written(folder, tmp_path, monkeypatch):
    """A batch larger than the set, a checkpoint that is not there, a device that is not."""
    add_tiny(monkeypatch)
    for text, said in (
        ("network: tiny\nsizes: [16]\nstart: nowhere.pt", "start: no such checkpoint"),
        *(
            (("network: tiny\ndevice: cuda", "device: expected one that is here"),)
            if not torch.cuda.is_available()
            else ()
        ),
    ):
        with pytest.raises(RecipeError, match=said):
            run(recipe(folder, text), tmp_path / "run")
    from dataclasses import replace

    chosen = recipe(folder)
    with pytest.raises(RecipeError, match="batch: expected at most 8, the pictures left to train with, got 9"):
        run(replace(chosen, course=replace(chosen.course, batch=9)), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    (tmp_path / "file").touch()
    with pytest.raises(RecipeError, match="file: expected a folder for the run"):
        run(chosen, tmp_path / "file")


def test_a_run_may_begin_with_another_ones_weights(folder, tmp_path, monkeypatch):
    """start: the first weights are the checkpoint's averaged ones; those of another network are refused."""
    add_tiny(monkeypatch)
    run(recipe(folder), tmp_path / "first")
    start = tmp_path / "first" / "best.pt"
    begun = run(
        recipe(folder, f"network: tiny\nstart: {start}\noptimizer: {{learning_rate: 1e-8}}"), tmp_path / "more", stop=1
    )
    weights = torch.load(start, weights_only=True)["average"]
    assert (begun["network"]["first.weight"] - weights["first.weight"]).abs().max() < 1e-6
    with pytest.raises(RecipeError, match=r"holds weights of tiny; expected those of tiny {'width': 5}"):
        run(recipe(folder, f"network: {{tiny: {{width: 5}}}}\nstart: {start}"), tmp_path / "other")
    with pytest.raises(RecipeError, match=r"expected a checkpoint of a run .*, got .*disk-00.jpg"):
        run(recipe(folder, f"network: tiny\nstart: {folder}/images/disk-00.jpg"), tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("start", ["embedded", "mine.onnx"])
def test_an_exported_network_keeps_its_statistics(folder, tmp_path, start):
    """Its batch normalization is in its weights: statistics of new batches would undo them, which is said first."""
    with pytest.raises(RecipeError, match=rf"statistics: expected kept with start: .*{start}, got batch"):
        run(recipe(folder, f"network: coarse\nsizes: [32]\nstart: {start}"), tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_run_that_makes_its_start_worse_keeps_the_start(folder, tmp_path, monkeypatch):
    """Weights to begin with are scored first, and stay the best where training spoils them; after a stop, too."""
    add_tiny(monkeypatch)
    run(recipe(folder), tmp_path / "first")
    start = tmp_path / "first" / "best.pt"
    weights = torch.load(start, weights_only=True)["average"]

    def spoilt(network, *_, **__):
        kept = torch.equal(network.state_dict()["first.weight"], weights["first.weight"])
        return {"iou": 0.8 if kept else 0.5, "mae": 0.1, "f_max": 0.8}

    monkeypatch.setattr(loop, "measure", spoilt)
    more, said = recipe(folder, f"network: tiny\nstart: {start}"), []
    train(more, tmp_path / "more", say=said.append)
    best = torch.load(tmp_path / "more" / "best.pt", weights_only=True)
    same(best["average"], weights)
    assert "before training: validation IoU 0.8000, MAE 0.1000, F max 0.8000" in said
    run(more, tmp_path / "stopped", stop=1)
    run(more, tmp_path / "stopped")
    same(torch.load(tmp_path / "stopped" / "best.pt", weights_only=True), best)


def test_a_run_may_begin_with_the_mean_of_several(folder, tmp_path, monkeypatch):
    """Named twice a checkpoint counts twice; a stranger's weights are refused before anything is written."""
    add_tiny(monkeypatch)
    run(recipe(folder), tmp_path / "one")
    one = tmp_path / "one" / "best.pt"
    run(recipe(folder, f"network: tiny\nstart: {one}\nseed: 0"), tmp_path / "two")
    two = tmp_path / "two" / "best.pt"
    text = f"network: tiny\nstart: [{one}, {two}, {two}]\noptimizer: {{learning_rate: 1e-8}}"
    begun = run(recipe(folder, text), tmp_path / "mean", stop=1)["network"]["first.weight"]
    first, second = (torch.load(path, weights_only=True)["average"]["first.weight"] for path in (one, two))
    assert (first - second).abs().max() > 1e-4
    assert (begun - (first + 2 * second) / 3).abs().max() < 1e-6
    run(recipe(folder, "network: tiny\nseed: 5"), tmp_path / "stranger")
    stranger = tmp_path / "stranger" / "best.pt"
    with pytest.raises(RecipeError, match=r"stranger.best.pt: expected a run that began with .*one"):
        run(recipe(folder, f"network: tiny\nstart: [{one}, {stranger}]"), tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_loss_that_is_no_number_stops_the_run(folder, tmp_path, monkeypatch):
    """The message says what to try, and the checkpoint stays what it was before that step."""
    add_tiny(monkeypatch)
    run(recipe(folder), tmp_path / "run", stop=1)
    before = (tmp_path / "run" / "last.pt").read_bytes()
    real = loop.deep_supervision
    monkeypatch.setattr(loop, "deep_supervision", lambda *given: real(*given) * float("nan"))
    with pytest.raises(RecipeError, match=r"step 2: the loss is nan; try a smaller optimizer\.learning_rate"):
        train(recipe(folder), tmp_path / "run", say=lambda text: None)
    assert (tmp_path / "run" / "last.pt").read_bytes() == before


def test_a_networks_own_loss_is_used_unless_declined(folder, tmp_path, monkeypatch):
    """loss.own decides between the paper's and the recipe's."""
    add_tiny(monkeypatch)
    from bgkit.train.networks import made_by

    asked = []

    def loss(self, outputs, truth, image):
        asked.append((truth.shape[1], image.shape[1]))
        return outputs[0].float().square().mean()

    made_by("tiny").loss = loss
    run(recipe(folder), tmp_path / "own", stop=1)
    assert asked == [(1, 3)]
    run(recipe(folder, "network: tiny\nloss: {own: false}"), tmp_path / "recipes", stop=1)
    assert len(asked) == 1


@pytest.mark.parametrize("line", ["[1]", '{"epoch": "2"}', '{"loss": 0.5}', '{"epoch": 2, "size": 9, "loss": null}'])
def test_a_log_with_a_line_of_somebody_else(line, tmp_path):
    """Lines of the log that no epoch wrote are left out, and the next epoch is added."""
    first = {"epoch": 1, "size": 9, "loss": 0.5, "iou": 0.5, "f_max": 0.5, "mae": 0.5}
    (tmp_path / "log.jsonl").write_text(f"{json.dumps(first)}\n{line}\n")
    write_line(tmp_path, {**first, "epoch": 2})
    assert read_log(tmp_path) == [first, {**first, "epoch": 2}]
