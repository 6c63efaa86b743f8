"""The stages that run networks, on small drawn networks and on the embedded one."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from onnx import helper
from onnx_files import red_channel, value, with_card, write

from bgkit.errors import ModelError, ParamError
from bgkit.evidence import sureness
from bgkit.models import tiling
from bgkit.models.session import PROVIDERS, network, start
from bgkit.models.tiling import run_tiled, starts
from bgkit.stage import collect_notes
from bgkit.stages import cascade_refine, cnn_mask, cnn_matting


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (40, 57)])
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_embedded_network_takes_any_picture(shape, level):
    """The embedded network gives a mask of the picture's size in 0..1, however small or plain it is."""
    mask = cnn_mask(np.full((*shape, 3), level, np.float32))
    assert mask.shape == shape
    assert mask.dtype == np.float32
    assert mask.flags.c_contiguous
    assert 0 <= mask.min() <= mask.max() <= 1


def test_constant_picture_is_empty():
    """A plain gray picture holds nothing, and the embedded network says so: nothing is stretched."""
    assert cnn_mask(np.full((300, 400, 3), 0.8, np.float32)).max() < 0.5


def test_facts_name_network_file_and_provider(tmp_path, scene):
    """A run records which network ran, its file's checksum, its license, the provider and how sure it was."""
    import hashlib

    path = red_channel(tmp_path / "red.onnx")
    model = with_card(path, "size = 8")
    with collect_notes() as facts:
        mask = cnn_mask(scene[0], model=model)
    assert facts == {
        "sure": sureness(mask),
        "model": "drawn",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "license": "MIT",
        "use": "commercial use allowed",
        "provider": "cpu",
    }


def test_unknown_name_is_told_before_a_run():
    """The parameter check refuses a network nobody knows, and names the nearest."""
    with pytest.raises(ModelError, match=r"no network named 'coarze'; did you mean 'coarse'"):
        cnn_mask.stage.check({"model": "coarze"})


def test_absent_file_is_told_before_a_run(tmp_path, monkeypatch):
    """The parameter check refuses a path at which nothing lies, and says where a relative one starts."""
    with pytest.raises(ModelError, match=r"none.onnx: no such ONNX file; expected"):
        cnn_mask.stage.check({"model": str(tmp_path / "none.onnx")})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=f"^none.onnx: no such ONNX file in {re.escape(str(tmp_path))}; expected"):
        cnn_mask.stage.check({"model": "none.onnx"})


def test_empty_name_says_what_is_expected():
    """An empty name is a parameter error like any other."""
    with pytest.raises(ParamError, match="expected the name of a network"):
        cnn_mask.stage.check({"model": ""})


def test_provider_that_is_absent_lists_what_is_there(scene):
    """Asking for an accelerator that this ONNX Runtime lacks is an error, not a silent fall-back."""
    with pytest.raises(ModelError, match=r"provider: expected one .*cpu.*, got 'coreml'"):
        cnn_mask(scene[0], provider="coreml")


class Elsewhere:
    """What ONNX Runtime would give on a machine with an accelerator."""

    def __init__(self, path, options, providers):
        self.providers = providers

    def get_providers(self):
        """Return those that started."""
        return self.providers


@pytest.mark.parametrize(("name", "full"), PROVIDERS.items())
def test_each_provider_is_asked_for_by_its_own_name(name, full, monkeypatch):
    """The processor stands behind it for operators that it lacks, and nothing else does."""
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: [full, "CPUExecutionProvider"])
    monkeypatch.setattr("onnxruntime.InferenceSession", Elsewhere)
    session = start(Path("net.onnx"), name)
    assert session.providers == ([full, "CPUExecutionProvider"] if name != "cpu" else [full])


def test_a_provider_that_does_not_start_is_an_error(monkeypatch):
    """A driver that is missing makes ONNX Runtime go on with the processor: that is not what was asked for."""
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: list(PROVIDERS.values()))
    monkeypatch.setattr(
        "onnxruntime.InferenceSession", lambda path, options, providers: Elsewhere(*[providers[1:]] * 3)
    )
    with pytest.raises(ModelError, match=r"'cuda' is installed but did not start .*chose CPUExecutionProvider"):
        start(Path("net.onnx"), "cuda")


def test_bare_file_runs_and_says_what_is_assumed(tmp_path, scene):
    """A file without a card runs when its graph tells enough, and warns of what is assumed."""
    path = red_channel(tmp_path / "bare.onnx", (1, 3, 16, 16), "Sigmoid")
    with pytest.warns(UserWarning) as text:
        mask = cnn_mask(scene[0], model=str(path))
    assert mask.shape == scene[1].shape
    graph, assumed = (str(each.message) for each in text)
    assert graph.startswith("bare.onnx: read from the graph: ") and graph.endswith("activation none")
    assert assumed.startswith("bare.onnx: assumed: RGB")


def test_bare_file_of_bytes_is_fed_bytes(tmp_path):
    """A graph that takes uint8 gets 0..255, and no mean is assumed."""
    nodes = [
        helper.make_node("Cast", ["image"], ["values"], to=1),
        helper.make_node("Div", ["values", "top"], ["shares"]),
        helper.make_node("Gather", ["shares", "zero"], ["mask"], axis=3),
        helper.make_node("Sigmoid", ["mask"], ["out"]),
    ]
    weights = {"zero": np.array([0], np.int64), "top": np.float32(255)}
    path = write(tmp_path / "b.onnx", nodes, [value("image", [1, 4, 4, 3], 2)], [value("out", [1, 4, 4, 1])], weights)
    with pytest.warns(UserWarning) as text:
        mask = cnn_mask(np.ones((4, 4, 3), np.float32), model=str(path))
    assert mask == pytest.approx(np.full((4, 4), 1 / (1 + np.exp(-1.0))))
    assert "bytes as they are" in str(text[1].message)


def test_bare_file_of_free_size_asks_for_it(tmp_path):
    """What a graph cannot tell is asked for."""
    path = red_channel(tmp_path / "free.onnx")
    with pytest.raises(ModelError, match=r"no fixed size; write free.toml beside it with input.size"):
        cnn_mask.stage.check({"model": str(path)})


def test_same_bits_for_any_number_of_threads(scene):
    """The embedded network gives the same mask on 1, 2 and 4 threads."""
    from bgkit import threads

    image = np.tile(scene[0], (6, 6, 1))
    masks = []
    before = threads._chosen
    try:
        for count in (1, 2, 4):
            threads.set_threads(count)
            masks.append(cnn_mask(image))
    finally:
        threads._chosen = before
    assert np.array_equal(masks[0], masks[1])
    assert np.array_equal(masks[0], masks[2])


# --- refinement and matting ------------------------------------------------------------------------


def stacking_network(path, last):
    """A network of 4 stacked channels, picture and ``last`` (mask or trimap), that answers the fourth squared."""
    nodes = [
        helper.make_node("Gather", ["input", "three"], ["fourth"], axis=1),
        helper.make_node("Mul", ["fourth", "fourth"], ["out"]),
    ]
    path = write(
        path,
        nodes,
        [value("input", ["N", 4, "H", "W"])],
        [value("out", ["N", 1, "H", "W"])],
        {"three": np.array([3], np.int64)},
    )
    return with_card(path, f'tile = 32\n[[input.tensors]]\nlayers = ["image", "{last}"]')


@pytest.mark.parametrize("tile", [16, 33, 1000])
def test_tiles_leave_no_seam(tmp_path, scene, tile):
    """A network that works pixel by pixel gives the same through tiles of any size as on the whole."""
    image, alpha = scene
    found = cascade_refine(
        image, alpha, model=stacking_network(tmp_path / "net.onnx", "mask"), tile=tile, whole=False, sure=0
    )
    assert found == pytest.approx(alpha**2, abs=1e-6)


def test_on_an_accelerator_tiles_go_through_together(tmp_path, scene, monkeypatch):
    """As many tiles as make ``TOGETHER`` pixels go through in one call, and the result is that of one by one."""
    image, alpha = scene
    chosen = network(stacking_network(tmp_path / "net.onnx", "mask"))
    layers, calls = {"image": image, "mask": alpha}, []

    def skip(part):
        return part["mask"] if part["mask"].max() == 0 else None

    one_by_one, seen = run_tiled(chosen, layers, tile=32, overlap=8, skip=skip)
    call = chosen._call
    monkeypatch.setattr(chosen, "_call", lambda feeds: calls.append(len(feeds[0])) or call(feeds))
    monkeypatch.setattr(chosen, "provider", "cuda")
    monkeypatch.setattr(tiling, "TOGETHER", 5 * 32 * 32)
    together, also = run_tiled(chosen, layers, tile=32, overlap=8, skip=skip)
    assert also == seen == sum(calls)
    assert calls[:-1] == [5] * (seen // 5)
    assert together == pytest.approx(one_by_one, abs=1e-6)


def test_whole_step_comes_first(tmp_path, scene):
    """With the whole step the tiles are fed its answer: squared twice, where the picture exceeds a tile."""
    image, alpha = scene
    model = stacking_network(tmp_path / "net.onnx", "mask")
    found = cascade_refine(image, np.full_like(alpha, 0.5), model=model)
    assert found == pytest.approx(np.full_like(alpha, 0.5**4), abs=1e-6)


def test_sure_tiles_are_not_looked_at(tmp_path, scene):
    """Only tiles with an edge run, and the facts count them."""
    image, alpha = scene
    model = stacking_network(tmp_path / "net.onnx", "mask")
    with collect_notes() as facts:
        cascade_refine(image, np.zeros_like(alpha), model=model)
    assert facts["tiles"] == 0
    with collect_notes() as facts:
        cascade_refine(image, alpha, model=model, whole=False)
    assert 0 < facts["tiles"] < len(starts(96, 32, 8)) * len(starts(128, 32, 8))


def test_guided_filter_follows_the_picture(scene):
    """The network that ships pulls a mask 3 pixels off back to the edge: less than half stays wrong."""
    image, alpha = scene
    shifted = np.roll(alpha, 3, axis=0)
    wrong = ((shifted > 0.5) != (alpha > 0.5)).sum()
    assert ((cascade_refine(image, shifted) > 0.5) != (alpha > 0.5)).sum() < 0.5 * wrong


def test_matting_keeps_what_is_known(tmp_path, scene):
    """Alpha is the network's in the band, in [image, trimap] order, and the trimap's own elsewhere."""
    image, alpha = scene
    trimap = np.where(alpha <= 0, 0, np.where(alpha >= 1, 255, 128)).astype(np.uint8)
    found = cnn_matting(image, trimap, model=stacking_network(tmp_path / "net.onnx", "trimap"))
    expected = np.where(trimap == 0, 0, np.where(trimap == 255, 1, (128 / 255) ** 2))
    assert found == pytest.approx(expected, abs=1e-6)


def test_matting_looks_only_at_the_band(tmp_path, scene):
    """A trimap without unknown pixels needs no run."""
    image, alpha = scene
    trimap = np.where(alpha > 0.5, 255, 0).astype(np.uint8)
    with collect_notes() as facts:
        found = cnn_matting(image, trimap, model=stacking_network(tmp_path / "net.onnx", "trimap"))
    assert facts["tiles"] == 0
    assert np.array_equal(found, trimap / 255)


def test_fixed_size_matting_network(tmp_path, scene):
    """A network of fixed size (ViTMatte's 1024 squared) sees tiles of that size, smaller pictures in a corner."""
    image, alpha = scene
    nodes = [helper.make_node("Gather", ["input", "three"], ["out"], axis=1)]
    path = write(
        tmp_path / "net.onnx",
        nodes,
        [value("input", [1, 4, 64, 64])],
        [value("out", [1, 1, 64, 64])],
        {"three": np.array([3], np.int64)},
    )
    put = 'size = 64\nfit = "corner"\ntile = 64\n[[input.tensors]]\nlayers = ["image", "trimap"]'
    trimap = np.full(alpha.shape, 128, np.uint8)
    assert cnn_matting(image, trimap, model=with_card(path, put)) == pytest.approx(np.full_like(alpha, 128 / 255))
    assert cnn_matting(image[:20, :40], trimap[:20, :40], model=str(path)).shape == (20, 40)


@pytest.mark.parametrize(
    ("function", "model", "right"), [(cnn_mask, "guided", "cascade_refine"), (cascade_refine, "coarse", "cnn_mask")]
)
def test_network_for_another_stage_names_it(function, model, right):
    """A network of another task is refused before a run, and the stage it is for is named."""
    with pytest.raises(ModelError, match=f"use it in {right}"):
        function.stage.check({"model": model})


@pytest.mark.parametrize(("side", "tile", "overlap"), [(1, 4, 1), (5, 4, 1), (100, 32, 8), (33, 32, 16), (97, 10, 9)])
def test_tiles_cover_and_overlap(side, tile, overlap):
    """Tiles start at 0, end at the border, and share at least the overlap."""
    found = starts(side, tile, overlap)
    assert found[0] == 0
    assert found[-1] == max(0, side - tile)
    assert all(b - a <= tile - overlap for a, b in itertools.pairwise(found))
