"""Networks of salient objects that are counted from their layer tables, for their papers give no number."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs bgkit[train]")

from bgkit.train.counting import count  # noqa: E402
from bgkit.train.losses import gradient  # noqa: E402
from bgkit.train.networks import build  # noqa: E402
from bgkit.train.networks.vgg import VGG16  # noqa: E402


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
