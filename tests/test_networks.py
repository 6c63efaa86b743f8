"""Every architecture: as large as published, right shapes, learns, and answers through its stage as in torch."""

from __future__ import annotations

import copy
import re
import warnings
from collections import Counter

import numpy as np
import pytest
from conftest import ROOT, disk_scene
from onnx_files import with_card

torch = pytest.importorskip("torch", reason="training needs bgkit[train]")

from benchmarks import architectures  # noqa: E402
from bgkit.errors import PlanError  # noqa: E402
from bgkit.models.card import CHANNELS  # noqa: E402
from bgkit.stages import cnn_mask  # noqa: E402
from bgkit.train.counting import count  # noqa: E402
from bgkit.train.losses import deep_supervision  # noqa: E402
from bgkit.train.networks import NETWORKS, build  # noqa: E402

SIDE = 64
SIDES = {
    "fcn-32s": 128,  # at 64 it has four scores, which see the drawn disk alike
    # At 64 their deepest map is one pixel: statistics of four values, which make 1e-3 of rounding.
    "background-matting-v2-mobilenetv2": 128,
    "background-matting-v2-resnet50": 128,
}

ENOUGH = 0.9  # of the first loss, 1.4 or so: more than dropout's noise

# Narrower siblings by the networks' own options, so that a few steps take a second and not a minute.
NARROW = {
    "u2net": {"width": 16},
    "u2netp": {"width": 32},
    "basnet": {"width": 8},
    "enfnet": {"width": 16},
    "videofcn-static": {"width": 16},
    "videofcn-dynamic": {"width": 16},
    "wss-tags": {"width": 16},
    "wss": {"width": 16},
    "modnet": {"width": 8, "multiplier": 0.25},
    "indexnet": {"multiplier": 0.25},
    "background-matting-v2-mobilenetv2": {"width": 0.25},
    "background-matting-v2-resnet50": {"width": 0.125},
    "cascadepsp": {"width": 8},
    "maskrcnn-resnet50": {"width": 8, "pyramid": 16, "hidden": 32, "proposals": 16, "sampled": 16, "objects": 4},
    "fcn-32s": {"width": 16, "hidden": 128},
    "fcn-16s": {"width": 16, "hidden": 128},
    "fcn-8s": {"width": 16, "hidden": 128},
    "segnet": {"width": 16},
    "unet": {"width": 16},
    "tiramisu-56": {"growth": 6, "first": 24},
    "tiramisu-67": {"growth": 6, "first": 24},
    "tiramisu-103": {"growth": 6, "first": 24},
    "deeplabv3plus-mobilenetv2": {"width": 0.5},
    "deeplabv3plus-resnet50": {"width": 0.25},
    "deeplabv3plus-resnet101": {"width": 0.25},
    "deeplabv3plus-xception": {"width": 0.125},
}

# Published counts are rounded, and made for more classes than one: 2 % covers both. Where it does not, the reason:
TOLERANCE = {
    "tiramisu-56": 0.09,  # the paper says 1.5 M, the authors' code gives 1.4 M
}


def drawn(name: str, side: int, pictures: int):
    """Inputs of a network, normalized, and the truth: disks of various colors on plain ground."""
    entry, rng = NETWORKS[name], np.random.default_rng(0)
    scenes = [disk_scene(side, side, rng.random(3), rng.random(3), seed=number) for number in range(pictures)]
    images = torch.from_numpy(np.stack([image for image, _ in scenes])).permute(0, 3, 1, 2)
    truth = torch.from_numpy(np.stack([alpha for _, alpha in scenes]))[:, None]
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (entry.mean, entry.deviation))
    layers = {
        "image": (images - mean) / deviation,
        "plate": (images[:, :, :1, :1].expand_as(images) - mean) / deviation,
        "next": (images.roll(2, 3) - mean) / deviation,
        "trimap": torch.where((truth > 0) & (truth < 1), 0.5, truth),
        "mask": torch.nn.functional.avg_pool2d(truth, 9, 1, 4),
    }
    return [layers[layer] for layer in entry.inputs], truth


@pytest.fixture(scope="module", params=NETWORKS)
def trained(request):
    """A narrow network after a few steps as the loop does them (bfloat16, channels last), with its losses.

    Networks without batch normalization begin slowly, so there are between 4 and 40 steps, as many as it takes.
    """
    torch.manual_seed(0)
    network = build(request.param, **NARROW.get(request.param, {})).to(memory_format=torch.channels_last)
    inputs, truth = drawn(request.param, SIDES.get(request.param, SIDE), 4)
    inputs = [layer.contiguous(memory_format=torch.channels_last) for layer in inputs]
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=1e-3)
    losses = []
    while len(losses) < 4 or (len(losses) < 40 and losses[-1] > ENOUGH * losses[0]):
        with torch.autocast("cpu", torch.bfloat16):
            outputs = network(*inputs)
        own = getattr(network, "loss", None)
        loss = own(outputs, truth, inputs[0]) if own else deep_supervision(outputs, truth)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return request.param, network.eval(), losses


@pytest.mark.parametrize("name", [name for name, entry in NETWORKS.items() if entry.parameters])
def test_as_many_parameters_as_published(name):
    """A network has the published number of parameters, up to rounding and the number of classes."""
    with torch.device("meta"):
        network = build(name)
    found = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    assert found == pytest.approx(NETWORKS[name].parameters, rel=TOLERANCE.get(name, 0.02))


@pytest.mark.parametrize("name", NETWORKS)
def test_table_is_true(name):
    """The row of docs/reference/architectures.md has the paper, parameters and work that the network has."""
    rows = re.findall(
        rf"^\| `{name}` \|(.*)\|.*\|$", (ROOT / "docs" / "reference" / "architectures.md").read_text(), re.MULTILINE
    )
    entry = NETWORKS[name]
    with torch.device("meta"):
        parameters, work = count(build(name), 224, entry.inputs)
    published = f"{entry.parameters:g}" if entry.parameters else "–"
    paper, here, said, giga = (cell.strip() for cell in rows[0].split("|"))
    assert (paper, here, giga) == (entry.paper, f"{parameters / 1e6:.2f}", f"{work / 1e9:.2f}")
    assert said.removesuffix(".0") == published


def test_compared_rows_stay(tmp_path):
    """The page of compared networks keeps the rows of those not measured again, replaces the others, best first."""
    before = architectures.PAGE.read_text("utf-8")
    results = architectures.Results(tmp_path / "results.json")
    assert architectures.page(results, before) == before
    figures = {"f_max": 0.9994, "mae": 0.1, "iou": 0.5, "parameters": 31e6, "gmac": 12, "onnx_ms": 5, "training_s": 1}
    results.put("unet", {"budget": {**architectures.BUDGET, "steps": 7}, **figures})
    results.put("indexnet", {"budget": architectures.BUDGET, "given": "trimap", **figures})
    after = architectures.page(results, before)
    first, second = (
        [line for line in text.splitlines() if line.startswith("| `")] for text in after.split("## Networks that")
    )
    assert len(first + second) == sum(line.startswith("| `") for line in before.splitlines())
    assert first[0].startswith("| `unet` (7 steps) | 0.999 |")
    assert second[0].startswith("| `indexnet` | trimap |  |  | 0.999 |")
    assert architectures.page(architectures.Results(tmp_path / "none.json"), after) == after


@pytest.mark.parametrize("name", NETWORKS)
def test_shapes(name):
    """Logits no larger than the picture in training, finest first; one of its size in evaluation; oblong ones too."""
    entry = NETWORKS[name]
    rows, cols = 4 * entry.multiple, 6 * entry.multiple
    with torch.device("meta"):
        network = build(name)
        inputs = [torch.zeros(2, CHANNELS[layer], rows, cols) for layer in entry.inputs]
        sizes = [tuple(logit.shape) for logit in network(*inputs)]
        assert network.eval()(*inputs).shape == (2, 1, rows, cols)
    assert sizes
    if hasattr(network, "loss"):  # which knows what else there is
        sizes = [size for size in sizes if size[1] == 1]
    assert all(size[:2] == (2, 1) for size in sizes)
    assert sizes == sorted(sizes, reverse=True)
    assert all(size[2:] <= (rows, cols) for size in sizes)


def test_learns(trained):
    """A few steps on one drawn batch, in bfloat16 and channels last, lower the loss."""
    _, _, losses = trained
    assert np.isfinite(losses).all()
    assert losses[-1] <= ENOUGH * losses[0]


def test_stage_answers_as_torch(trained, tmp_path):
    """Exported with a card, a network gives through ``cnn_mask`` what it gives in torch, within 1e-3."""
    name, network, _ = trained
    entry = NETWORKS[name]
    if not set(entry.inputs) <= {"image", "plate"}:
        pytest.skip(f"{name} takes {' and '.join(entry.inputs)}: another stage runs it")
    if entry.objects:
        pytest.skip(f"{name} answers with objects: tests/test_maskrcnn.py exports it")
    # A few steps leave the kept statistics far from the batch's, and masks all 0 or all 1; now they are the batch's.
    network = copy.deepcopy(network)
    side = SIDES.get(name, SIDE)
    inputs, _ = drawn(name, side, 4)
    network.train()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
            module.reset_running_stats()
    with torch.no_grad():
        network(*inputs)
        network.eval()
        output = network(*[layer[:1] for layer in inputs])
    expected = (torch.sigmoid(output) if entry.activation == "sigmoid" else output.clip(0, 1))[0, 0].numpy()
    path = tmp_path / "network.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter that needs no further library calls itself deprecated
        torch.onnx.export(
            network,
            tuple(torch.zeros(2, CHANNELS[layer], side, side) for layer in entry.inputs),
            str(path),
            dynamo=False,
            opset_version=17,
            input_names=list(entry.inputs),
            output_names=["mask"],
            dynamic_axes={layer: {0: "N", 2: "H", 3: "W"} for layer in (*entry.inputs, "mask")},
        )
    tensors = "".join(f'\n[[input.tensors]]\nname = "{layer}"\nlayers = ["{layer}"]\n' for layer in entry.inputs)
    norm = f"mean = {list(entry.mean)}\ndeviation = {list(entry.deviation)}"
    model = with_card(path, f"size = {side}\n{norm}\n{tensors}", f'name = "mask"\nactivation = "{entry.activation}"')
    mean, deviation = np.float32(entry.mean), np.float32(entry.deviation)
    layers = {
        layer: np.ascontiguousarray(value[0].permute(1, 2, 0).numpy() * deviation + mean)
        for layer, value in zip(entry.inputs, inputs, strict=True)
    }
    found = cnn_mask(**layers, model=model)
    assert np.abs(found - expected).max() < 1e-3
    assert np.ptp(expected) > 1e-2  # a constant would prove little


def test_unknown_architecture():
    """A name nobody registered is told together with those there are."""
    with pytest.raises(PlanError, match=r"expected one of .*unet.*, got 'unett'"):
        build("unett")


# What one network has and no other.


def test_count_of_a_convolution():
    """Weights times the places they are used at, worked by hand."""
    nn = torch.nn
    assert count(nn.Conv2d(3, 8, 3, padding=1), 4) == (3 * 8 * 9 + 8, 3 * 8 * 9 * 16)
    assert count(nn.Conv2d(3, 6, 3, stride=2, padding=1, groups=3, bias=False), 4) == (6 * 9, 6 * 9 * 4)
    assert count(nn.ConvTranspose2d(3, 5, 2, 2, bias=False), 4) == (3 * 5 * 4, 3 * 5 * 4 * 16)
    assert count(nn.Sequential(nn.Flatten(), nn.Linear(48, 2)), 4) == (98, 96)


def test_count_leaves_the_network():
    """Counting neither trains a network nor moves it nor leaves hooks on it."""
    network = torch.nn.Conv2d(3, 1, 1)
    count(network, 2)
    assert network.training
    assert network.weight.device.type == "cpu"
    assert not network._forward_hooks


@pytest.mark.parametrize(("name", "million"), [("tiramisu-67", 3.5), ("tiramisu-103", 9.4)])
def test_tiramisu_counted_as_its_authors_do(name, million):
    """With 11 classes and the kept statistics counted too, the published number to the digit."""
    with torch.device("meta"):
        network = build(name, classes=11)
    numbers = [*network.parameters(), *[value for value in network.buffers() if value.ndim]]
    assert round(sum(value.numel() for value in numbers) / 1e6, 1) == million


@pytest.mark.parametrize(("depth", "parameters"), [(50, 25_557_032), (101, 44_549_160)])
def test_resnet_is_the_published_one(depth, parameters):
    """With its classifier of 1000 classes, a base has as many parameters as the trained weights in circulation."""
    from bgkit.train.networks.resnet import ResNet

    with torch.device("meta"):
        assert count(ResNet(depth), 64)[0] + 2048 * 1000 + 1000 == parameters


def test_mobilenetv2_is_the_published_one():
    """With its classifier 3.5 M parameters, and 300 million multiply-accumulates at 224 (table 4 of the paper)."""
    from bgkit.train.networks.mobilenetv2 import MobileNetV2

    with torch.device("meta"):
        parameters, work = count(MobileNetV2(last=True), 224)
    assert parameters + 1280 * 1000 + 1000 == 3_504_872
    assert work == pytest.approx(300e6, rel=0.01)


def test_deeplab_is_the_published_one():
    """43.48 M with Xception-71 and 19 classes (Liu et al. 2019); 54.17 G at 513 with Xception-65 (its authors)."""
    with torch.device("meta"):
        larger = build("deeplabv3plus-xception", base="xception71", classes=19)
        usual = build("deeplabv3plus-xception", classes=21)
    assert round(count(larger, 64)[0] / 1e6, 2) == 43.48
    assert count(usual, 513)[1] == pytest.approx(54.17e9, rel=0.005)


@pytest.mark.parametrize("base", ["mobilenetv2", "resnet50", "xception65"])
def test_atrous_convolution_only_makes_denser(base):
    """At every second place a base of stride 16 gives what it gives with stride 32 (Chen et al. 2017, fig. 3)."""
    from bgkit.train.networks.mobilenetv2 import MobileNetV2
    from bgkit.train.networks.resnet import ResNet
    from bgkit.train.networks.xception import Xception

    made_by, options = {
        "mobilenetv2": (MobileNetV2, {"multiplier": 0.25}),
        "resnet50": (ResNet, {"width": 8}),
        "xception65": (Xception, {"multiplier": 0.0625}),
    }[base]
    torch.manual_seed(0)
    coarse = made_by(output_stride=32, **options).eval()
    for module in coarse.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1)  # some begin at zero, and would hide what they scale
    dense = made_by(output_stride=16, **options).eval()
    dense.load_state_dict(coarse.state_dict())
    image = torch.rand(1, 3, 96, 160)
    with torch.inference_mode():
        one, two = coarse(image)[-1], dense(image)[-1]
    assert two.shape[2:] == (6, 10)
    assert (one - two[:, :, ::2, ::2]).abs().max() < 1e-4 * one.abs().max()


def test_fcn_enlarges_bilinearly():
    """The last transposed convolution interpolates, away from the border, and does not learn."""
    from bgkit.train.networks.fcn import FCN

    network = FCN(8, width=2, hidden=4)
    ramp = torch.arange(6.0).view(1, 1, 1, 6).expand(1, 1, 6, 6)
    with torch.no_grad():
        row = network.enlarge(ramp)[0, 0, 20, 4:-4]
    assert torch.allclose(row, (torch.arange(4, 44) + 0.5) / 8 - 0.5, atol=1e-5)
    assert not network.enlarge.weight.requires_grad
    assert network.twice[0].weight.requires_grad


def test_segnet_puts_values_back():
    """Unpooling is what torch's own does: the largest of each four at its place, zeros elsewhere."""
    from bgkit.train.networks.segnet import _unpool

    x = torch.rand(2, 3, 8, 12).to(memory_format=torch.channels_last)
    small, won = torch.nn.functional.max_pool2d(x, 2, return_indices=True)
    assert torch.equal(_unpool(small, won), torch.nn.functional.max_unpool2d(small, won, 2))


def test_tiramisu_enlarges_new_maps_only():
    """A transition up takes the L k maps of the block before, whatever went into it; 256 reach the classifier."""
    with torch.device("meta"):
        network = build("tiramisu-103")
    assert [layer.in_channels for layer in network.enlarge] == [240, 192, 160, 112, 80]
    assert network.classify.in_channels == 256
    assert [len(block.layers) for block in [*network.down, network.bottom, *network.up]] == [
        *(4, 5, 7, 10, 12),
        15,
        *(12, 10, 7, 5, 4),
    ]


@pytest.mark.parametrize(
    ("name", "dropout", "normalized"),
    [
        ("fcn-8s", {0.5: 2}, 0),  # fc6 and fc7
        ("segnet", {}, 25),  # 13 convolutions down, 12 up; the last stands alone
        ("unet", {0.5: 2}, 0),  # the end of the way down
        ("tiramisu-103", {0.2: 96}, 96),  # 91 layers of the dense blocks, 5 transitions down
        ("deeplabv3plus-resnet101", {0.1: 1}, 104 + 9),  # 5 branches, join, 48 channels, two in the decoder
    ],
)
def test_dropout_and_normalization_stand_where_published(name, dropout, normalized):
    """As many layers drop out, and at the rate, and as many are normalized, as the paper says."""
    with torch.device("meta"):
        layers = list(build(name).modules())
    assert Counter(layer.p for layer in layers if isinstance(layer, torch.nn.Dropout)) == dropout
    assert sum(isinstance(layer, torch.nn.BatchNorm2d) for layer in layers) == normalized


def test_deeplab_spaces_its_taps():
    """Rates 2, 4, 8 in ResNet's last stage and 6, 12, 18 in the pyramid, at stride 16; fine maps from stride 4."""
    with torch.device("meta"):
        network = build("deeplabv3plus-resnet101")
        maps = network.base(torch.zeros(1, 3, 64, 64))
    spaced = [m.dilation[0] for m in network.modules() if isinstance(m, torch.nn.Conv2d) and m.dilation != (1, 1)]
    assert spaced == [2, 4, 8, 6, 12, 18]
    assert [tuple(one.shape[1:3]) for one in maps] == [(64, 32), (256, 16), (512, 8), (1024, 4), (2048, 4)]
    fine = network.fine[0]
    assert (fine.in_channels, fine.out_channels, fine.kernel_size) == (256, 48, (1, 1))


def test_fcn_adds_finer_scores():
    """FCN-8s adds scores of pool4 at stride 16 and of pool3 at stride 8; at zero they change nothing."""
    from bgkit.train.networks.fcn import FCN

    torch.manual_seed(0)
    network = FCN(8, width=2, hidden=4).eval()
    torch.nn.init.normal_(network.score.weight)
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        before = network(image)
        changed = []
        for score in network.fused_scores:
            score.bias.fill_(1)
            changed.append((network(image) - before)[0, 0, 32, 32].item())
    assert [score.in_channels for score in network.fused_scores] == [16, 8]
    assert changed == pytest.approx([1, 2])
