"""Networks of salient objects that are counted from their layer tables, for their papers give no number."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import disk_scene
from train_pictures import draw_folder

torch = pytest.importorskip("torch", reason="training needs bgkit[train]")

from bgkit.errors import RecipeError  # noqa: E402
from bgkit.train.counting import count  # noqa: E402
from bgkit.train.loop import train  # noqa: E402
from bgkit.train.losses import gradient  # noqa: E402
from bgkit.train.networks import build  # noqa: E402
from bgkit.train.networks.vgg import VGG16  # noqa: E402
from bgkit.train.networks.wss import smooth_pooling  # noqa: E402
from bgkit.train.recipefile import read_recipe  # noqa: E402
from bgkit.train.self_training import iterated_crf  # noqa: E402

torch.set_num_threads(1)  # networks this small wait for threads longer than they compute


def weights(kernel: int, inputs: int, outputs: int) -> int:
    """Weights and biases of a convolution."""
    return kernel * kernel * inputs * outputs + outputs


CONVOLUTIONS = sum(
    weights(3, inputs, outputs)
    for inputs, outputs in [
        *((3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 256)),
        *((256, 512), *((512, 512),) * 5),
    ]
)


def test_vgg_is_the_published_one():
    """14,714,688 in the convolutions: the published 138,357,544 without the three large layers."""
    large = (7 * 7 * 512 * 4096 + 4096) + (4096 * 4096 + 4096) + (4096 * 1000 + 1000)
    with torch.device("meta"):
        assert count(VGG16(), 32)[0] == CONVOLUTIONS == 138_357_544 - large


def test_enfnet_counted_by_its_layers():
    """VGG-16, condition, side outputs, guidance, transposed convolutions, local and global scores: 37,272,850."""
    condition = weights(3, 3, 8) + weights(3, 8, 16) + weights(3, 16, 32) + weights(3, 32, 64)
    sides = sum(weights(3, inputs, 128) for inputs in (64, 128, 256, 512, 512))
    near, far = weights(3, 64, 64) + weights(3, 64, 128), weights(3, 64, 64) + weights(5, 64, 128)
    farthest = weights(5, 64, 64) + weights(5, 64, 128)
    guidance = 2 * (3 * near + far + farthest)  # scale and shift
    enlarged = weights(5, 256, 128) + weights(5, 384, 256) + weights(5, 512, 384) + weights(5, 640, 512)
    local = weights(1, 768, 640) + weights(1, 640, 1)
    whole = weights(5, 512, 128) + weights(5, 128, 128) + weights(3, 128, 128) + weights(1, 128, 1)
    with torch.device("meta"):
        found = count(build("enfnet"), 352)[0]
    assert found == CONVOLUTIONS + condition + sides + guidance + enlarged + local + whole == 37_272_850


@pytest.mark.parametrize(("name", "inputs", "total"), [("static", 3, 15_162_965), ("dynamic", 7, 15_165_269)])
def test_videofcn_counted_by_its_layers(name, inputs, total):
    """VGG-16, its first layer of three or seven channels, a score of each of three groups and two side maps."""
    first = weights(3, inputs, 64) - weights(3, 3, 64)
    scores = weights(3, 512, 1) + 2 * weights(3, 65, 1)
    sides = weights(3, 512, 64) + weights(3, 256, 64)
    with torch.device("meta"):
        found = sum(weight.numel() for weight in build(f"videofcn-{name}").parameters())
    assert found == CONVOLUTIONS + first + scores + sides == total


def test_enfnet_sees_the_deepest_map_as_it_is_at_352():
    """At the paper's side the deepest map is 11x11, which the three global convolutions bring to one place."""
    with torch.device("meta"):
        network = build("enfnet", width=8)
        deepest = torch.nn.functional.max_pool2d(network.base(torch.zeros(1, 3, 352, 352))[4], 2)
        assert network.whole(deepest).shape == (1, 1, 1, 1)


def test_enfnet_is_guided_by_edges():
    """Where the picture is even, all places of a block's scale and shift are alike; an edge changes those near it."""
    torch.manual_seed(0)
    network = build("enfnet", width=8).eval()
    even = torch.full((1, 3, 64, 64), 0.3)
    edged = even.clone()
    edged[..., 40:] = 0.9
    with torch.inference_mode():
        plain, edges = (network.guidance[0].scale(network.condition(gradient(each))) for each in (even, edged))
    changed = (plain - edges).abs().amax((0, 1, 2))
    assert changed[:16].max() == 0
    assert changed[19:21].max() > 0


def test_wss_counted_by_its_layers():
    """VGG-16 with one normalization, three scores, three enlargings without biases, and the classifier of two tags."""
    normalized = 2 * 512 + 2 * (1 + 2 + 2 + 2 + 2 + 1)
    scores = 9 * 512 + weights(3, 512, 2) + weights(3, 256, 2)
    enlarged = 16 * 1 * 2 + 16 * 2 * 2 + 64 * 2 * 1
    classifier = weights(1, 512, 2)
    with torch.device("meta"):
        found = count(build("wss-tags"), 64)[0]
    assert found == CONVOLUTIONS + normalized + scores + enlarged + classifier == 14_735_418


def test_smooth_pooling_lies_between_maximum_and_mean():
    """Of scores 3, 2, 0, 0 with m = 4 the shares are 0.625 and 0.375, and the gradient; extremes: maximum and mean."""
    scores = torch.tensor([3.0, 2, 0, 0]).view(1, 1, 2, 2)
    shares = torch.tensor([0.625, 0.375, 0, 0])  # 0.75 and 0.5, less what makes their sum 1
    expected = (shares * scores.flatten()).sum() - 2 * (shares**2).sum()
    assert smooth_pooling(scores, 1.0).item() == pytest.approx(expected.item())
    assert smooth_pooling(scores, 1e-4).item() == pytest.approx(3, abs=1e-3)
    assert smooth_pooling(scores, 100.0).item() + 200 / 4 == pytest.approx(1.25, abs=0.01)
    scores.requires_grad_()
    smooth_pooling(scores, 1.0).sum().backward()
    assert torch.allclose(scores.grad.flatten(), shares)


def test_iterated_crf_mends_a_mask():
    """A disk's mask, off by 4 px and blurred, comes nearer to the disk with each round."""
    image, alpha = disk_scene(64, 64)
    import cv2

    mask = cv2.GaussianBlur(np.roll(alpha, 4, 1), (0, 0), 6)

    def overlap(found) -> float:
        return ((found > 0.5) & (alpha > 0.5)).sum() / ((found > 0.5) | (alpha > 0.5)).sum()

    assert overlap(mask) < overlap(iterated_crf(image, mask, rounds=1)) < overlap(iterated_crf(image, mask))


def recipe(folder, text: str):
    return read_recipe(
        f"bgkit: 1\n{text}\nepochs: 1\nbatch: 4\nsizes: [32]\nthreads: 1\n"
        f"augmentation: {{empty: 0.4, paste: 0.3, texture: 0.5}}\ndata: {{folder: {folder}TEACHER}}".replace(
            "TEACHER", f", teacher: {folder.parent / 'tags'}" if "wss:" in text else ""
        )
    )


def test_wss_trains_in_two_stages(tmp_path, monkeypatch):
    """First from tags alone, then from masks that the first stage's network draws; another teacher is another run."""
    from bgkit.train import loop

    folder = draw_folder(tmp_path / "pictures")
    shapes = set()
    step = loop._step

    def watch(state, recipe, inputs, truth):
        shapes.add((recipe.network, *truth.shape[1:]))
        step(state, recipe, inputs, truth)

    monkeypatch.setattr(loop, "_step", watch)
    said: list[str] = []
    train(recipe(folder, "network: {wss-tags: {width: 4}}"), tmp_path / "tags", say=said.append)
    second = recipe(folder, f"network: {{wss: {{width: 4}}}}\nstart: {tmp_path / 'tags' / 'best.pt'}")
    best = train(second, tmp_path / "masks", say=said.append)
    assert best.is_file()
    assert shapes == {("wss-tags", 2, 1, 1), ("wss", 1, 32, 32)}
    assert f"drawing masks with {tmp_path / 'tags'}" in said
    state = torch.load(tmp_path / "tags" / "best.pt", weights_only=True)
    torch.save({**state, "step": state["step"] + 1}, tmp_path / "tags" / "best.pt")
    with pytest.raises(RecipeError, match="was begun with other pictures"):
        train(second, tmp_path / "masks", say=said.append)


def test_a_teacher_that_is_none_is_told(tmp_path):
    """A recipe whose teacher is not there stops before anything is written."""
    folder = draw_folder(tmp_path / "pictures")
    with pytest.raises(RecipeError, match=r"data.teacher: .*tags.*no such checkpoint"):
        train(recipe(folder, "network: {wss: {width: 4}}"), tmp_path / "masks", say=lambda text: None)
    assert not (tmp_path / "masks").exists()
