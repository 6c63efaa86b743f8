"""The stages that run networks, on small drawn networks and on the embedded one."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from onnx_files import red_channel, with_card

from bgkit.errors import ModelError, ParamError
from bgkit.stage import collect_notes
from bgkit.stages import cnn_mask


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
    """A run records which network ran, the checksum of its file, its license and the provider."""
    import hashlib

    path = red_channel(tmp_path / "red.onnx")
    model = with_card(path, "size = 8")
    with collect_notes() as facts:
        cnn_mask(scene[0], model=model)
    assert facts == {
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


def test_absent_file_is_told_before_a_run(tmp_path):
    """The parameter check refuses a path at which nothing lies."""
    with pytest.raises(ModelError, match="no such ONNX file"):
        cnn_mask.stage.check({"model": str(tmp_path / "none.onnx")})


def test_empty_name_says_what_is_expected():
    """An empty name is a parameter error like any other."""
    with pytest.raises(ParamError, match="expected the name of a network"):
        cnn_mask.stage.check({"model": ""})


def test_provider_that_is_absent_lists_what_is_there(scene):
    """Asking for an accelerator that this ONNX Runtime lacks is an error, not a silent fall-back."""
    with pytest.raises(ModelError, match=r"provider: expected one .*cpu.*, got 'coreml'"):
        cnn_mask(scene[0], provider="coreml")


def test_bare_file_runs_and_says_what_is_assumed(tmp_path, scene, caplog):
    """A file without a card runs when its graph tells enough, and the assumptions are logged."""
    path = red_channel(tmp_path / "bare.onnx", (1, 3, 16, 16), "Sigmoid")
    with caplog.at_level(logging.WARNING):
        mask = cnn_mask(scene[0], model=str(path))
    assert mask.shape == scene[1].shape
    assert "assumed: RGB" in caplog.text
    assert "activation none" in caplog.text


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
