"""Export: any network as an ONNX file with a card, which then answers through its stage as torch does."""

from __future__ import annotations

import re

import numpy as np
import pytest
from conftest import ROOT, disk_scene

torch = pytest.importorskip("torch", reason="export needs bgkit[train]")
onnx = pytest.importorskip("onnx", reason="export needs bgkit[train]")
pytest.importorskip("matplotlib", reason="curves need bgkit[train]")

from train_pictures import add_tiny, draw_folder  # noqa: E402

from bgkit import stages  # noqa: E402
from bgkit.cli import app  # noqa: E402
from bgkit.errors import ModelError  # noqa: E402
from bgkit.models.card import read_card  # noqa: E402
from bgkit.train.export import export  # noqa: E402
from bgkit.train.loop import train  # noqa: E402
from bgkit.train.networks import build, entry_of  # noqa: E402
from bgkit.train.recipe import Recipe  # noqa: E402
from bgkit.train.recipefile import dump_recipe, read_recipe  # noqa: E402

torch.set_num_threads(1)  # networks this small wait for threads longer than they compute

SIDE = 64


def checkpoint(path, seed: int = 0, text: str = "network: {coarse: {widths: [4, 4, 8, 8, 8]}}", size: int = SIDE):
    """A checkpoint of a small network with random weights."""
    recipe = read_recipe(f"bgkit: 1\n{text}\nsizes: [{size}]\n")
    torch.manual_seed(seed)
    torch.save({"average": build(recipe.network, **recipe.options).state_dict(), "recipe": dump_recipe(recipe)}, path)
    return path


def test_a_run_becomes_a_network_of_the_stage(tmp_path, monkeypatch):
    """Trained, exported, added to the store: cnn_mask answers as torch within 1e-3, and the figures are the run's."""
    from bgkit.cli import app

    monkeypatch.setenv("BGKIT_HOME", str(tmp_path / "home"))
    folder = draw_folder(tmp_path / "pictures")
    text = "bgkit: 1\nnetwork: {coarse: {widths: [4, 4, 8, 8, 8]}}\nepochs: 1\nbatch: 4\nsizes: [32]\nthreads: 1\n"
    train(read_recipe(f"{text}data: {{folder: {folder}}}"), tmp_path / "run", say=lambda text: None)
    target = tmp_path / "mine.onnx"
    assert (
        app.main(["export", str(tmp_path / "run"), "-o", str(target), "--license", "MIT"], standalone_mode=False) == 0
    )
    card = read_card(tmp_path / "mine.toml")
    assert (card.name, card.license.name, card.license.commercial, card.input.fixed) == (
        "mine",
        "MIT",
        "unclear",
        (32, 32),
    )
    figures = (tmp_path / "mine.md").read_text()
    assert "| validation |" in figures and "| test |" in figures and "7 train" not in figures.split("8 train")[0]
    added = ["models", "add", str(target), "--card", str(tmp_path / "mine.toml")]
    assert app.main(added, standalone_mode=False) == 0
    image, _ = disk_scene(32, 32)
    network = build("coarse", widths=(4, 4, 8, 8, 8)).eval()
    network.load_state_dict(torch.load(tmp_path / "run" / "best.pt", weights_only=True)["average"])
    entry = entry_of("coarse")
    put = (image - np.float32(entry.mean)) / np.float32(entry.deviation)
    with torch.inference_mode():
        expected = torch.sigmoid(network(torch.from_numpy(put).permute(2, 0, 1)[None]))[0, 0].numpy()
    for model in ("mine", str(target)):
        assert np.abs(stages.cnn_mask(image, model=model) - expected).max() < 1e-3


@pytest.mark.parametrize(("second", "task"), [("plate", "mask"), ("trimap", "matting"), ("mask", "refinement")])
def test_networks_of_two_inputs_get_a_card_that_asks_for_both(tmp_path, monkeypatch, second, task):
    """The card names both tensors, and the stage that it is for runs it."""
    add_tiny(monkeypatch, inputs=("image", second))
    path = checkpoint(tmp_path / "two.pt", text="network: tiny", size=32)
    assert export(path, tmp_path / "two.onnx") < 1e-3
    card = read_card(tmp_path / "two.toml")
    assert (card.task, card.layers) == (task, ("image", second))
    image, alpha = disk_scene(40, 48)
    model = str(tmp_path / "two.onnx")
    if second == "plate":
        found = stages.cnn_mask(image, np.ones_like(image), model=model)
    elif second == "trimap":
        trimap = np.where(alpha > 0.9, 255, np.where(alpha < 0.1, 0, 128)).astype(np.uint8)
        found = stages.cnn_matting(image, trimap, model=model)
    else:
        found = stages.cascade_refine(image, alpha, model=model, sure=0)
    assert found.shape == (40, 48)
    assert found.std() > 0


def test_a_network_of_two_frames_trains_and_runs(tmp_path):
    """From stills to a card of one size, by which ``cascade_refine`` answers as torch; all of it in a few steps."""
    folder = draw_folder(tmp_path / "pictures")
    text = "bgkit: 1\nnetwork: {videofcn-dynamic: {width: 4}}\nepochs: 1\nbatch: 4\nsizes: [32]\nthreads: 1\n"
    train(read_recipe(f"{text}data: {{folder: {folder}}}"), tmp_path / "run", say=lambda text: None)
    target = tmp_path / "film.onnx"
    assert export(tmp_path / "run", target) < 1e-3
    card = read_card(tmp_path / "film.toml")
    assert (card.task, card.layers, card.input.fixed, card.input.tile) == (
        "refinement",
        ("image", "next", "mask"),
        (32, 32),
        None,
    )
    image, alpha = disk_scene(32, 32)
    network = build("videofcn-dynamic", width=4).eval()
    network.load_state_dict(torch.load(tmp_path / "run" / "best.pt", weights_only=True)["average"])
    entry = entry_of("videofcn-dynamic")
    frames = [(each - np.float32(entry.mean)) / np.float32(entry.deviation) for each in (image, np.roll(image, 3, 1))]
    put = [torch.from_numpy(np.atleast_3d(each)).permute(2, 0, 1)[None].float() for each in (*frames, alpha)]
    with torch.inference_mode():
        expected = torch.sigmoid(network(*put))[0, 0].numpy()
    found = stages.cascade_refine(image, alpha, np.roll(image, 3, 1), model=str(target))
    assert np.abs(found - expected).max() < 1e-3


@pytest.mark.parametrize(("weights", "share", "most"), [("float16", 0.6, 1e-3), ("int8", 0.4, 0.1)])
def test_short_weights_take_fewer_bytes_and_differ_little(tmp_path, weights, share, most):
    """Stored in two bytes or one, masks stay near; the small weights stay whole."""
    path = checkpoint(tmp_path / "net.pt", text="network: {coarse: {widths: [16, 32, 32, 32, 32]}}")
    whole = export(path, tmp_path / "full.onnx")
    assert whole < export(path, tmp_path / "short.onnx", weights=weights) < most
    assert (tmp_path / "short.onnx").stat().st_size < share * (tmp_path / "full.onnx").stat().st_size
    kinds = {w.name: w.data_type for w in onnx.load(tmp_path / "short.onnx").graph.initializer}
    assert kinds["heads.4.weight"] == onnx.TensorProto.FLOAT


def test_room_for_rounding_is_none_for_a_wrong_graph(tmp_path, monkeypatch):
    """A file that differs by 0.05 before any rounding is refused, though int8 alone may differ by more."""
    from bgkit.train import export as module

    right = module._difference
    monkeypatch.setattr(module, "_difference", lambda *given: right(*given) + 0.05)
    with pytest.raises(ModelError, match=r"within 0\.001 of torch's, got a difference of 0\.05"):
        export(checkpoint(tmp_path / "net.pt"), tmp_path / "net.onnx", weights="int8")
    assert not list(tmp_path.glob("net.[otm]*"))


def test_a_convolution_pads_its_own_input(tmp_path, monkeypatch):
    """An EfficientNet's file has no step that pads, and gives the bits of one that has; it takes any size."""
    import onnxruntime

    start = checkpoint(tmp_path / "net.pt", text="network: pyramid-lite0")
    export(start, tmp_path / "folded.onnx")
    monkeypatch.setattr("bgkit.train.export.fold_padding", lambda model: None)
    export(start, tmp_path / "padded.onnx")
    kinds = [
        [node.op_type for node in onnx.load(tmp_path / name).graph.node] for name in ("folded.onnx", "padded.onnx")
    ]
    assert kinds[1].count("Pad") == 5 and "Pad" not in kinds[0] and len(kinds[0]) < len(kinds[1]) - 40
    for side in (64, 96):
        picture = np.random.default_rng(1).normal(size=(1, 3, side, side)).astype(np.float32)
        masks = [
            onnxruntime.InferenceSession(tmp_path / name).run(None, {"image": picture})[0]
            for name in ("folded.onnx", "padded.onnx")
        ]
        np.testing.assert_array_equal(*masks)


def test_padding_that_is_no_border_of_zeros_stays():
    """A reflected border, one of ones, and one of which more is made than a convolution stay steps of their own."""
    from bgkit.train.compact import fold_padding

    def model(mode: str, value: list[str], users: int) -> onnx.ModelProto:
        helper, kind = onnx.helper, onnx.TensorProto.FLOAT
        nodes = [helper.make_node("Pad", ["x", "pads", *value], ["padded"], mode=mode)]
        nodes += [
            helper.make_node("Conv", ["padded", "kernel"], [f"y{place}"], kernel_shape=[3, 3], pads=[0, 0, 0, 0])
            for place in range(users)
        ]
        held = {"pads": np.int64([0, 0, 0, 0, 0, 0, 1, 1]), "one": np.float32(1), "kernel": np.ones((1, 1, 3, 3), "f")}
        ends = [helper.make_tensor_value_info(name, kind, None) for name in ["x", *[f"y{n}" for n in range(users)]]]
        kept = [onnx.numpy_helper.from_array(np.asarray(each), name) for name, each in held.items()]
        return helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:], kept))

    for mode, value, users, stays in (
        ("constant", [], 1, False), ("reflect", [], 1, True), ("constant", ["one"], 1, True), ("constant", [], 2, True),
    ):  # fmt: skip
        made = model(mode, value, users)
        fold_padding(made)
        assert ("Pad" in [node.op_type for node in made.graph.node]) == stays
        if not stays:
            assert list(made.graph.node[0].attribute[1].ints) == [0, 0, 1, 1]


def test_int8_weights_keep_every_channel_to_half_a_step():
    """A channel of small weights has small steps: each is rounded by at most 1/254 of its own channel's largest."""
    from onnx.reference import ReferenceEvaluator

    from bgkit.train.compact import store_weights

    values = np.random.default_rng(0).normal(0, [[1], [1e-3], [0]], (3, 2000)).astype(np.float32)
    node = onnx.helper.make_node("Identity", ["w"], ["out"])
    out = onnx.helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, [3, 2000])
    model = onnx.helper.make_model(
        onnx.helper.make_graph([node], "g", [], [out], [onnx.numpy_helper.from_array(values, "w")]),
        opset_imports=[onnx.helper.make_opsetid("", 17)],
        ir_version=8,
    )
    store_weights(model, "int8")
    found = ReferenceEvaluator(model).run(None, {})[0]
    error = np.abs(found - values).max(1)
    assert (error <= np.abs(values).max(1) / 254 * 1.001).all()
    assert error[1] > 0


@pytest.mark.parametrize("mirror", [0.5, 0])
def test_ensemble(tmp_path, mirror):
    """Two networks answer as one: the mean, the second's of the mirror image, unless training never mirrored."""
    text = f"network: {{coarse: {{widths: [4, 4, 8, 8, 8]}}}}\naugmentation: {{mirror: {mirror}}}"
    paths = [checkpoint(tmp_path / f"{seed}.pt", seed, text) for seed in range(2)]
    assert export([[path] for path in paths], tmp_path / "both.onnx") < 1e-3
    for path, name in zip(paths, ("one", "two"), strict=True):
        export(path, tmp_path / f"{name}.onnx")
    image = np.random.default_rng(0).random((SIDE, SIDE, 3), np.float32)

    def seen(name, step=1):
        return stages.cnn_mask(image[:, ::step], model=str(tmp_path / f"{name}.onnx"))[:, ::step]

    found = seen("both")
    assert np.abs(found - 0.5 * (seen("one") + seen("two", -1 if mirror else 1))).max() < 1e-5
    assert np.abs(found - 0.5 * (seen("one") + seen("two", 1 if mirror else -1))).max() > 1e-4
    assert "mean of the answers of 2 networks" in (tmp_path / "both.md").read_text()


def test_an_ensemble_of_networks_that_see_different_things_is_refused(tmp_path, monkeypatch):
    """A network of one input and one of two have no picture in common; nothing is written."""
    add_tiny(monkeypatch, inputs=("image", "plate"))
    paths = [checkpoint(tmp_path / "0.pt"), checkpoint(tmp_path / "1.pt", text="network: tiny")]
    with pytest.raises(ModelError, match=r"1.pt: expected a network that sees what .*0.pt .*image, plate"):
        export([[path] for path in paths], tmp_path / "both.onnx")
    assert not list(tmp_path.glob("both*"))


def test_command_takes_means_and_ensembles(tmp_path):
    """Commas join checkpoints of one network, spaces networks; an empty name is refused."""
    one, two = checkpoint(tmp_path / "0.pt", 0), checkpoint(tmp_path / "1.pt", 1)
    given = ["export", f"{one},{one}", str(two), "-o", str(tmp_path / "net.onnx"), "--weights", "int8"]
    assert app.main(given, standalone_mode=False) == 0
    assert "of 2, 1 checkpoints" in (tmp_path / "net.md").read_text()
    assert app.main(["export", ",", "-o", str(tmp_path / "no.onnx")], standalone_mode=False) == 2


def test_mean_of_checkpoints(tmp_path):
    """Two checkpoints become the network whose weights lie in the middle."""
    paths = [checkpoint(tmp_path / "0.pt", 0), tmp_path / "1.pt"]
    state = torch.load(paths[0], weights_only=True)
    state["average"] = {name: 0.5 * weight for name, weight in state["average"].items()}
    torch.save(state, paths[1])
    export([paths], tmp_path / "mean.onnx")
    found = {w.name: onnx.numpy_helper.to_array(w) for w in onnx.load(tmp_path / "mean.onnx").graph.initializer}
    weights = [torch.load(path, weights_only=True)["average"]["heads.4.weight"].numpy() for path in paths]
    assert np.allclose(found["heads.4.weight"], np.mean(weights, 0))


def test_a_mean_of_strangers_is_refused(tmp_path):
    """Weights of which neither began with the other's have no mean that is a network; nothing is written."""
    paths = [checkpoint(tmp_path / f"{seed}.pt", seed) for seed in range(2)]
    with pytest.raises(ModelError, match=r"1.pt: expected a run that began with the weights of .*0.pt.*of -?0.0"):
        export([paths], tmp_path / "mean.onnx")
    assert not list(tmp_path.glob("mean*"))


def test_a_card_that_is_there_is_not_written_over(tmp_path, capsys):
    """The command says how to keep it; nothing is written."""
    (tmp_path / "net.toml").write_text("mine")
    given = ["export", str(checkpoint(tmp_path / "0.pt", 0)), "-o", str(tmp_path / "net.onnx")]
    assert app.main(given, standalone_mode=False) == 2
    assert re.search(r"net.toml: is there already; --card .*net.toml keeps it", capsys.readouterr().err)
    assert (tmp_path / "net.toml").read_text() == "mine"
    assert not (tmp_path / "net.onnx").exists()


def test_a_graph_of_one_size_is_exported_so(tmp_path, monkeypatch):
    """Where another size does not go through, the file says its only size, and still takes several pictures at once."""
    add_tiny(monkeypatch)
    from bgkit.train.networks import made_by

    plain = made_by("tiny").forward

    def forward(self, image):
        position = torch.linspace(-1, 1, int(image.shape[3]))  # a constant of the traced size
        return plain(self, image + position)

    monkeypatch.setattr(made_by("tiny"), "forward", forward)
    path = checkpoint(tmp_path / "net.pt", text="network: tiny", size=32)
    assert export(path, tmp_path / "fixed.onnx") < 1e-3
    (shape,) = [value.type.tensor_type.shape for value in onnx.load(tmp_path / "fixed.onnx").graph.input]
    assert [side.dim_value for side in shape.dim][2:] == [32, 32]
    assert "sides 32 only" in (tmp_path / "fixed.md").read_text()


def test_a_card_of_ones_own_gets_the_checksum(tmp_path):
    """Its text stays; sha256 and bytes are the file's, and no other card is written."""
    card = tmp_path / "own.toml"
    card.write_text((ROOT / "bgkit" / "models" / "cards" / "coarse.toml").read_text().replace('"coarse', '"own'))
    export(checkpoint(tmp_path / "net.pt"), tmp_path / "net.onnx", card=card)
    assert read_card(card).file.bytes == (tmp_path / "net.onnx").stat().st_size
    assert not (tmp_path / "net.toml").exists()


def test_weights_alone_take_a_recipe_from_outside(tmp_path):
    """A checkpoint without one is the default network's, or of the recipe that is given."""
    path = tmp_path / "weights.pt"
    options = {"widths": (4, 4, 8, 8, 8)}
    torch.save({"average": build("coarse", **options).state_dict()}, path)
    with pytest.raises(ModelError, match="does not hold weights of coarse"):
        export(path, tmp_path / "net.onnx", size=32)
    assert export(path, tmp_path / "net.onnx", size=32, recipe=Recipe(options=options)) < 1e-3


def test_what_is_no_checkpoint_is_told(tmp_path):
    """A text file, and a size that the network cannot take."""
    (tmp_path / "no.pt").write_text("nothing")
    with pytest.raises(ModelError, match="expected a checkpoint of bgkit train"):
        export(tmp_path / "no.pt", tmp_path / "net.onnx")
    with pytest.raises(ModelError, match="size: coarse expects multiples of 32, got 50"):
        export(checkpoint(tmp_path / "net.pt"), tmp_path / "net.onnx", size=50)
    assert not (tmp_path / "net.onnx").exists()
