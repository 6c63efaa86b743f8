"""Mask R-CNN: its parts against slow twins, what it learns from, and its file through the stage."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import disk_scene

torch = pytest.importorskip("torch", reason="training needs bgkit[train]")
pytest.importorskip("onnx", reason="export needs bgkit[train]")
pytest.importorskip("matplotlib", reason="curves need bgkit[train]")

from train_pictures import draw_folder  # noqa: E402

from bgkit.errors import ModelError  # noqa: E402
from bgkit.models.card import read_card  # noqa: E402
from bgkit.stages import cnn_mask  # noqa: E402
from bgkit.train.export import export  # noqa: E402
from bgkit.train.loop import train  # noqa: E402
from bgkit.train.networks import build, maskrcnn  # noqa: E402
from bgkit.train.recipefile import dump_recipe, read_recipe  # noqa: E402

torch.set_num_threads(1)  # networks this small wait for threads longer than they compute

NARROW = "{width: 8, pyramid: 16, hidden: 32, proposals: 12, objects: 3}"


def boxes(count: int, seed: int = 0) -> torch.Tensor:
    """Boxes in 64 x 96 pixels, at least 2 px wide."""
    rng = np.random.default_rng(seed)
    start = rng.random((count, 2)) * [80, 50]
    end = np.minimum(start + 2 + rng.random((count, 2)) * 60, [96, 64])
    return torch.from_numpy(np.concatenate([start, end], 1).astype(np.float32))


def test_as_many_parameters_as_the_published_one():
    """With COCO's 91 classes 44,401,393, the batch normalizations aside, which are fixed there (44.4 M)."""
    with torch.device("meta"):
        network = build("maskrcnn-resnet50", classes=91)
    norms = [layer for layer in network.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    fixed = sum(parameter.numel() for norm in norms for parameter in norm.parameters())
    pyramid = (256 + 512 + 1024 + 2048) * 256 + 4 * 256 + 4 * (256 * 256 * 9 + 256)
    proposals = (256 * 256 * 9 + 256) + (256 * 3 + 3) + (256 * 12 + 12)
    head = (256 * 49 * 1024 + 1024) + (1024 * 1024 + 1024) + (1024 + 1) * 91 * 5
    masks = 4 * (256 * 256 * 9 + 256) + (256 * 256 * 4 + 256) + (256 + 1) * 91
    base = 25_557_032 - (2048 + 1) * 1000 - fixed  # ResNet-50 without its classifier
    assert base + pyramid + proposals + head + masks == 44_401_393
    assert sum(parameter.numel() for parameter in network.parameters()) - fixed == 44_401_393


def test_roialign_is_the_mean_of_four_bilinear_samples():
    """Each bin is what a slow loop over its four samples gives, at the stride of the map."""
    rng = np.random.default_rng(0)
    level = rng.random((16, 24)).astype(np.float32)  # of 64 x 96 pixels, at stride 4
    given = boxes(5)
    found = maskrcnn._sampled(torch.from_numpy(level)[None, None], given[None], 3, (64, 96))[0, :, 0].numpy()

    def sample(row: float, col: float) -> float:
        row, col = np.clip(row / 4 - 0.5, 0, 15), np.clip(col / 4 - 0.5, 0, 23)
        top, left = int(row), int(col)
        down, right = min(top + 1, 15), min(left + 1, 23)
        upper = level[top, left] * (1 - col + left) + level[top, right] * (col - left)
        lower = level[down, left] * (1 - col + left) + level[down, right] * (col - left)
        return upper * (1 - row + top) + lower * (row - top)

    for box, bins in zip(given.numpy(), found, strict=True):
        high, wide = (box[3] - box[1]) / 3, (box[2] - box[0]) / 3
        for row, col in np.ndindex(3, 3):
            places = [(row + a, col + b) for a in (0.25, 0.75) for b in (0.25, 0.75)]
            expected = np.mean([sample(box[1] + r * high, box[0] + c * wide) for r, c in places])
            assert bins[row, col] == pytest.approx(expected, abs=1e-5)


def test_each_box_is_looked_at_in_the_level_of_its_size():
    """224 px in P4, half of it in P3, everything smaller than 112 px in P2; both ways of asking agree."""
    sides = torch.tensor([10.0, 111, 112, 223, 224, 447, 448, 2000])
    squares = torch.stack([0 * sides, 0 * sides, sides, sides], 1)
    assert maskrcnn._level(squares).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    maps = [torch.rand(1, 2, 512 >> level, 512 >> level) for level in (2, 3, 4, 5)]
    one = maskrcnn._align(maps, squares[None], 7, (512, 512))[0]
    assert torch.equal(one, maskrcnn._align_each(maps, squares, 7, (512, 512)))


@pytest.mark.parametrize("seed", range(3))
def test_duplicates_are_dropped_greedily(seed):
    """What is kept is what a loop over the boxes, best first, keeps."""
    given = boxes(60, seed)
    kept: list[int] = []
    overlaps = maskrcnn._iou(given, given)
    for number in range(len(given)):
        if not (overlaps[number, kept] > 0.3).any():
            kept.append(number)
    found = maskrcnn._keep(given[None], torch.linspace(1, 0.1, 60)[None], 0.3)[0]
    assert found.nonzero()[:, 0].tolist() == kept
    assert 5 < len(kept) < 55


def test_steps_lead_to_the_target():
    """Moving a box by its steps to a target gives the target, whatever the factors."""
    one, other = boxes(20), boxes(20, 1)
    for factors in (maskrcnn.PROPOSAL_STEPS, maskrcnn.BOX_STEPS):
        moved = maskrcnn._moved(one, maskrcnn._steps(one, other, factors), factors)
        assert torch.allclose(moved, other, atol=1e-3)


def test_anchors_stand_in_the_middle_of_their_places():
    """Three at each place, of one area, 32 px at stride 4 and twice as large at each level."""
    first, second = maskrcnn._anchors([torch.zeros(1, 3, 2, 3), torch.zeros(1, 3, 1, 2)], (8, 12))
    assert first.shape == (2 * 3 * 3, 4)
    assert ((first[3, :2] + first[3, 2:]) / 2).tolist() == [6, 2]  # the second place of the first row
    assert maskrcnn._area(first).sqrt() == pytest.approx(32 * np.ones(18), rel=1e-5)
    assert maskrcnn._area(second).sqrt() == pytest.approx(64 * np.ones(6), rel=1e-5)
    shapes = (first[:3, 3] - first[:3, 1]) / (first[:3, 2] - first[:3, 0])
    assert shapes.tolist() == pytest.approx([0.5, 1, 2])


def test_objects_are_the_connected_pieces():
    """Two rectangles are two objects with their boxes; a speck is none; together they are the truth."""
    truth = torch.zeros(64, 96)
    truth[10:30, 5:40] = 1
    truth[40:60, 50:90] = 0.8
    truth[2, 2] = 1
    found, masks = maskrcnn._objects(truth)
    assert found.tolist() == [[5, 10, 40, 30], [50, 40, 90, 60]]
    assert masks.sum((1, 2)).tolist() == [20 * 35, 20 * 40]


def test_an_empty_picture_teaches_background():
    """Without an object the loss is finite, and objectness alone has gradients that fall."""
    torch.manual_seed(0)
    network = build("maskrcnn-resnet50", width=8, pyramid=16, hidden=32, proposals=12, sampled=8)
    image, truth = torch.rand(1, 3, 64, 64), torch.zeros(1, 1, 64, 64)
    loss = network.loss(network(image), truth, image)
    loss.backward()
    assert torch.isfinite(loss)
    assert network.propose.score.bias.grad.sum() > 0  # down goes the score
    assert network.masks.draw.weight.grad is None


def test_exported_file_answers_through_the_stage_as_torch(tmp_path):
    """What the card reads as objects becomes, through ``cnn_mask``, the map that torch gives, within 1e-3."""
    recipe = read_recipe(f"bgkit: 1\nnetwork: {{maskrcnn-resnet50: {NARROW}}}\nsizes: [64]\n")
    torch.manual_seed(3)
    network = build(recipe.network, **recipe.options)
    network.boxes.score.bias.data[1] = 4  # sure of everything it proposes, so that there is something to compare
    torch.save({"average": network.state_dict(), "recipe": dump_recipe(recipe)}, tmp_path / "net.pt")
    assert export(tmp_path / "net.pt", tmp_path / "net.onnx") < 1e-3
    card = read_card(tmp_path / "net.toml")
    assert (card.task, card.input.fixed, card.output.instances.classes) == ("mask", (64, 64), (1,))
    image, _ = disk_scene(64, 64)
    put = (image - np.float32(card.input.mean)) / np.float32(card.input.deviation)
    with torch.inference_mode():
        expected = network.eval()(torch.from_numpy(put).permute(2, 0, 1)[None])[0, 0].numpy()
    found = cnn_mask(image, model=str(tmp_path / "net.onnx"))
    assert np.ptp(expected) > 0.1
    assert np.abs(found - expected).max() < 1e-3


def test_recipe_trains_it(tmp_path):
    """The training loop takes it as it takes any network, and its run is exported."""
    folder = draw_folder(tmp_path / "pictures")
    text = f"bgkit: 1\nnetwork: {{maskrcnn-resnet50: {NARROW}}}\nepochs: 1\nbatch: 4\nsizes: [64]\nthreads: 1\n"
    train(read_recipe(f"{text}data: {{folder: {folder}}}"), tmp_path / "run", say=lambda text: None)
    assert export(tmp_path / "run", tmp_path / "net.onnx") < 1e-3
    assert "| validation |" in (tmp_path / "net.md").read_text()


def test_objects_have_no_mean(tmp_path):
    """An ensemble of networks that find objects is refused; nothing is written."""
    recipe = read_recipe(f"bgkit: 1\nnetwork: {{maskrcnn-resnet50: {NARROW}}}\nsizes: [64]\n")
    state = {"average": build(recipe.network, **recipe.options).state_dict(), "recipe": dump_recipe(recipe)}
    torch.save(state, tmp_path / "net.pt")
    with pytest.raises(ModelError, match=r"net.pt: expected a network that answers with a map"):
        export([[tmp_path / "net.pt"]] * 2, tmp_path / "both.onnx")
    assert not list(tmp_path.glob("both*"))
