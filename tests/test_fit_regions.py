"""``bgkit fit-regions``: what it fits, writes and refuses, on drawn disks and an encoder of random weights."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import disk_scene

torch = pytest.importorskip("torch", reason="fitting needs bgkit[train]")
onnx = pytest.importorskip("onnx", reason="fitting needs bgkit[train]")

from train_pictures import draw_folder  # noqa: E402

from bgkit.cli import app  # noqa: E402
from bgkit.errors import ModelError, RecipeError  # noqa: E402
from bgkit.models.card import read_card  # noqa: E402
from bgkit.models.session import network  # noqa: E402
from bgkit.stages import region_saliency  # noqa: E402
from bgkit.train.pictures import read_pictures  # noqa: E402
from bgkit.train.recipe import Data  # noqa: E402
from bgkit.train.regional import RegionHeads, _Encoder, fit_regions, write_encoder  # noqa: E402

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("encoder") / "encoder.onnx"
    write_encoder(path, size=64, imagenet=False, fine=True)
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return read_pictures(Data(folder=str(draw_folder(tmp_path_factory.mktemp("pictures")))))


@pytest.fixture(scope="module")
def fitted(encoder, pictures, tmp_path_factory):
    """A file fitted on twelve drawn disks, and its figures."""
    path = tmp_path_factory.mktemp("fitted") / "disks.onnx"
    return path, fit_regions(pictures, encoder, path, levels=2, weights="float32", say=lambda text: None)


@pytest.mark.parametrize("method", ["mdf", "rcnn"])
def test_what_was_fitted_finds_its_subject(fitted, method):
    """A disk that was not among the pictures is marked, its ground is not."""
    path, _ = fitted
    image, alpha = disk_scene(44, 60, (0.2, 0.5, 0.8), (0.8, 0.3, 0.1), seed=99)
    found = region_saliency(image, method=method, model=str(path), coherence=0)
    assert found[alpha > 0.99].mean() > found[alpha < 0.01].mean() + 0.2


def test_figures_are_of_the_pictures_kept_aside(fitted):
    """Disks on plain ground are easy: nearly all pixels and proposals are on the right side."""
    assert fitted[1]["mdf"] > 0.85
    assert fitted[1]["rcnn"] > 0.8


def test_file_is_encoder_and_heads(fitted, encoder):
    """The card has the encoder's input; the graph's features are the encoder's, and the levels are as many as asked."""
    path, _ = fitted
    card, own = read_card(path.with_suffix(".toml")), read_card(encoder.with_suffix(".toml"))
    assert (card.task, card.input) == ("regions", own.input)
    chosen = network(str(path))
    assert (chosen.levels, chosen.grid) == (2, (8, 8))
    image = disk_scene(44, 60)[0]
    windows = np.random.default_rng(0).random((3, 3, 8, 8)).astype(np.float32)
    model = onnx.load(path)
    model.graph.output.append(onnx.helper.make_tensor_value_info("features", 1, None))
    onnx.save(model, path.with_name("open.onnx"))
    import onnxruntime

    feed = {"image": np.zeros((1, 3, 64, 64), np.float32), "windows": windows}
    session = onnxruntime.InferenceSession(str(path.with_name("open.onnx")), providers=["CPUExecutionProvider"])
    features = session.run(["features"], feed)[0]
    alone = onnxruntime.InferenceSession(str(encoder), providers=["CPUExecutionProvider"])
    assert np.abs(features - alone.run(None, {"image": feed["image"]})[0]).max() < 1e-5
    assert chosen.score_regions(image, windows)[0].shape == (3,)


def test_same_pictures_and_seed_same_file(encoder, pictures, tmp_path, fitted):
    """Fitted once more, the scores are the same; with another seed they are not."""
    image, windows = disk_scene(44, 60)[0], np.full((1, 3, 8, 8), 1 / 64, np.float32)
    scores = [network(str(fitted[0])).score_regions(image, windows)[0]]
    for seed in (0, 1):
        path = tmp_path / f"{seed}.onnx"
        fit_regions(pictures, encoder, path, levels=2, weights="float32", seed=seed, say=lambda text: None)
        scores.append(network(str(path)).score_regions(image, windows)[0])
    assert scores[0] == scores[1] != scores[2]


def test_heads_see_what_their_windows_hold():
    """MDF sees the means over all three windows, R-CNN over the first two."""
    torch.manual_seed(0)
    heads = RegionHeads(4, 3).eval()
    features, windows = torch.randn(1, 4, 2, 2), torch.rand(1, 3, 2, 2)
    with torch.inference_mode():
        mdf, rcnn = heads(features, windows)
        for place, same in ((0, False), (1, False), (2, True)):
            changed = windows.clone()
            changed[:, place] += 1
            other = heads(features, changed)
            assert mdf != other[0]
            assert (rcnn == other[1]) == same


def test_command(encoder, tmp_path, capsys):
    """Folder in, ONNX file and card out, which the stage takes."""
    folder = draw_folder(tmp_path / "pictures")
    given = ["fit-regions", str(folder), "-o", str(tmp_path / "mine.onnx"), "--encoder", str(encoder), "--levels", "2"]
    assert app.main(given, standalone_mode=False) == 0
    assert "mine.onnx: written, with mine.toml" in capsys.readouterr().out
    assert region_saliency(disk_scene()[0], model=str(tmp_path / "mine.onnx")).std() > 0
    assert app.main([*given, "--fine"], standalone_mode=False) == 2
    assert "expected one of --fine and --encoder" in capsys.readouterr().err


def test_what_cannot_be_fitted_is_told(encoder, pictures, tmp_path):
    """Too few pictures, masks without a subject, an encoder without a card, one that answers with no map."""
    with pytest.raises(RecipeError, match="expected at least 10 to fit regions with, got 3"):
        fit_regions(pictures.part(np.arange(3)), encoder, tmp_path / "no.onnx")
    empty = pictures.part(np.arange(12))
    empty = type(empty)(empty.images, [0 * mask for mask in empty.masks], empty.names)
    with pytest.raises(RecipeError, match="expected some with a region that is subject"):
        fit_regions(empty, encoder, tmp_path / "no.onnx", say=lambda text: None)
    with pytest.raises(ModelError, match=r"expected its card beside it \(bare.toml\)"):
        fit_regions(pictures, tmp_path / "bare.onnx", tmp_path / "no.onnx")
    card = read_card(encoder.with_suffix(".toml"))
    wrong = type(card)(**{**vars(card), "output": type(card.output)(name="image")})
    with pytest.raises(ModelError, match="expected a feature map"):
        _Encoder(encoder, wrong)
    assert not list(tmp_path.glob("no*"))
