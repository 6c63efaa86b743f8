"""Networks that see a plate, a trimap or a mask beside the picture: trained, exported, run by their stages."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from conftest import disk_scene
from onnx_files import with_card

torch = pytest.importorskip("torch", reason="training needs bgkit[train]")

from bgkit.models.session import Network  # noqa: E402
from bgkit.stage import collect_notes  # noqa: E402
from bgkit.stages import cascade_refine, cnn_mask, cnn_matting  # noqa: E402
from bgkit.train.networks import NETWORKS, build  # noqa: E402

ROWS, COLS = 64, 96

# As narrow as they can be: what is tested does not depend on the width.
NARROW = {
    "background-matting-v2-mobilenetv2": {"width": 0.125, "pixels": 16 * 100},  # of 16 x 24 patches
    "indexnet": {"multiplier": 0.125},
    "cascadepsp": {"width": 4},
    "videofcn-dynamic": {"width": 8},
}


def scene(rows: int = ROWS, cols: int = COLS):
    """A disk on plain ground as layers: picture, its empty plate, a trimap, a mask that is off by some pixels."""
    image, alpha = disk_scene(rows, cols)
    trimap = np.full((rows, cols), 128, np.uint8)
    reach = np.hypot(*(np.mgrid[:rows, :cols] - np.array([rows, cols])[:, None, None] / 2)) - min(rows, cols) / 3.5
    trimap[reach < -6], trimap[reach > 6] = 255, 0
    plate = np.full_like(image, 0.9)
    return {
        "image": image,
        "plate": plate,
        "trimap": trimap,
        "mask": np.roll(alpha, 3, 1),
        "next": np.roll(image, 2, 1),
    }, alpha


def fed(entry, layers) -> list:
    """The layers as a network's inputs: normalized, (1, C, H, W)."""
    tensors = []
    for name in entry.inputs:
        value = layers[name].astype(np.float32) / (255 if name == "trimap" else 1)
        if value.ndim == 3:
            value = (value - np.float32(entry.mean)) / np.float32(entry.deviation)
        tensors.append(torch.from_numpy(np.atleast_3d(value)).permute(2, 0, 1)[None].contiguous())
    return tensors


@pytest.fixture(scope="module", params=NARROW)
def trained(request, tmp_path_factory):
    """A network after some steps in bfloat16 and channels last, its losses, and its ONNX file with a card."""
    name = request.param
    entry = NETWORKS[name]
    torch.manual_seed(0)
    network = build(name, **NARROW[name]).to(memory_format=torch.channels_last)
    layers, alpha = scene()
    inputs = [each.repeat(2, 1, 1, 1).to(memory_format=torch.channels_last) for each in fed(entry, layers)]
    truth = torch.from_numpy(alpha)[None, None].repeat(2, 1, 1, 1)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.5  # the kept statistics follow in a few steps
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    losses = []
    for _ in range(5):
        with torch.autocast("cpu", torch.bfloat16):
            outputs = network(*inputs)
        loss = network.loss(outputs, truth, inputs[0])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    network.eval()
    path = tmp_path_factory.mktemp("networks") / "network.onnx"
    export(network, entry, inputs, path)
    return name, network, losses, card(entry, path)


def export(network, entry, inputs, path) -> None:
    axes = {0: "N", 2: "H", 3: "W"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the exporter itself; no other is allowed
        torch.onnx.export(
            network,
            tuple(inputs),
            str(path),
            dynamo=False,
            opset_version=17,
            input_names=list(entry.inputs),
            output_names=["answer"],
            dynamic_axes=dict.fromkeys((*entry.inputs, "answer"), axes),
        )


def card(entry, path) -> str:
    """A card as docs/how-to/bring-your-own-network.md has it for networks of two inputs."""
    lines = [f"mean = {list(entry.mean)}", f"deviation = {list(entry.deviation)}", f"multiple = {entry.multiple}"]
    lines.append('rounding = "pad"')
    lines += [f'[[input.tensors]]\nname = "{name}"\nlayers = ["{name}"]' for name in entry.inputs]
    return with_card(path, "\n".join(lines), f'activation = "{entry.activation}"')


def answered(network, entry, layers) -> np.ndarray:
    """What torch answers, 0..1, (M, N)."""
    with torch.inference_mode():
        output = network(*fed(entry, layers))
    return (torch.sigmoid(output) if entry.activation == "sigmoid" else output.clip(0, 1))[0, 0].numpy()


def run_stage(name: str, model: str, layers) -> np.ndarray:
    if "trimap" in NETWORKS[name].inputs:
        return cnn_matting(layers["image"], layers["trimap"], model=model)
    if "mask" in NETWORKS[name].inputs:
        return cascade_refine(layers["image"], layers["mask"], layers["next"], model=model, sure=0)
    return cnn_mask(layers["image"], layers["plate"], model=model)


def test_learns(trained):
    """Some steps with the network's own loss, in bfloat16 and channels last, lower it."""
    _, _, losses, _ = trained
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


@pytest.mark.filterwarnings("ignore:.*expected an output of 0..1")  # a matting network of random weights
@pytest.mark.parametrize("size", [(ROWS, COLS), (96, 64)])
def test_stage_answers_as_torch(trained, size):
    """The network's stage gives what torch gives, within 1e-3, at the size of the export and at another."""
    name, network, _, model = trained
    layers, _ = scene(*size)
    expected = answered(network, NETWORKS[name], layers)
    if name == "indexnet":  # the stage keeps what the trimap knows
        expected = np.where(layers["trimap"] == 128, expected, layers["trimap"] / 255)
    found = run_stage(name, model, layers)
    assert np.abs(found - expected).max() < 1e-3
    assert np.ptp(expected) > 1e-3  # a constant would prove little


def test_second_input_counts(trained):
    """Another plate, trimap or mask gives another answer."""
    name, network, _, _ = trained
    entry = NETWORKS[name]
    layers, _ = scene()
    second = entry.inputs[1]
    other = {
        **layers,
        second: np.ascontiguousarray(layers[second][::-1, ::-1] // 2 if second == "trimap" else 0.4 * layers[second]),
    }
    assert np.abs(answered(network, entry, layers) - answered(network, entry, other)).max() > 1e-4


@pytest.mark.parametrize("kind", ["holistic", "o2o", "m2o"])
def test_indices_choose_within_a_square(kind):
    """What an index network chooses sums to one over each 2x2 square; what puts back lies in 0..1, each by itself."""
    from bgkit.train.networks.indexnet import IndexBlock

    torch.manual_seed(0)
    with torch.inference_mode():
        choose, back = IndexBlock(6, kind)(torch.randn(2, 6, 8, 12))
    assert choose.shape == back.shape == (2, 1 if kind == "holistic" else 6, 8, 12)
    assert torch.allclose(4 * torch.nn.functional.avg_pool2d(choose, 2), torch.ones(1), atol=1e-6)
    assert 0 < back.min() < back.max() < 1
    assert torch.equal(
        choose,
        torch.nn.functional.pixel_shuffle(
            torch.softmax(torch.nn.functional.pixel_unshuffle(back, 2).unflatten(1, (-1, 4)), 2).flatten(1, 2), 2
        ),
    )


def test_depthwise_index_sees_its_channel_alone():
    """A one-to-one index of a channel does not change with the other channels; a many-to-one index does."""
    from bgkit.train.networks.indexnet import IndexBlock

    x = torch.randn(1, 4, 8, 8)
    other = torch.cat([x[:, :1], torch.randn(1, 3, 8, 8)], 1)
    for kind, same in (("o2o", True), ("m2o", False)):
        block = IndexBlock(4, kind).eval()
        with torch.inference_mode():
            assert torch.equal(block(x)[0][:, 0], block(other)[0][:, 0]) == same


def test_matting_loss_looks_at_unknown_pixels_only():
    """IndexNet's loss does not change with what it answers where the trimap knows."""
    network = build("indexnet", **NARROW["indexnet"])
    truth = torch.rand(2, 1, 8, 8)
    unknown = torch.zeros_like(truth)
    unknown[..., 2:6] = 1
    alpha, image = torch.rand_like(truth), torch.randn(2, 3, 8, 8)
    elsewhere = alpha + (1 - unknown)
    assert network.loss([alpha, unknown], truth, image) == network.loss([elsewhere, unknown], truth, image)
    assert network.loss([truth, unknown], truth, image) < 1e-5


def test_windows_are_cut_around_their_patches():
    """A window is the patch of its place with a margin, zeros beyond the picture, as unfolding cuts it."""
    from bgkit.train.networks.background_matting import _windows

    x = torch.randn(2, 3, 8, 12)
    where = torch.tensor([[0, 7, 23], [5, 6, 11]])  # of 4 rows and 6 columns of places
    every = torch.nn.functional.unfold(x, 8, padding=3, stride=2).unflatten(1, (3, 8, 8))
    expected = torch.stack([every[n, ..., place] for n, places in enumerate(where) for place in places])
    assert torch.equal(_windows(x, where, 6, step=2, margin=3), expected)


def test_refinement_mends_the_doubtful_patches_only():
    """The k patches of the largest expected error are replaced, those without any and all others stay."""
    from bgkit.train.networks.background_matting import _most_doubtful, _put

    error = torch.zeros(1, 1, 2, 3)
    error[0, 0, 0, 2], error[0, 0, 1, 0] = 0.9, 0.2
    where, doubtful = _most_doubtful(error, 3)
    assert where[0, :2].tolist() == [2, 3]
    assert doubtful.tolist() == [[True, True, False]]
    mended = _put(torch.zeros(1, 2, 8, 12), where, doubtful, torch.ones(3, 2, 4, 4))
    expected = torch.zeros(1, 2, 8, 12)
    expected[..., :4, 8:], expected[..., 4:, :4] = 1, 1
    assert torch.equal(mended, expected)


@pytest.mark.parametrize(("rows", "cols"), [(12, 6), (13, 7), (4, 5)])
def test_regions_are_adaptive_pooling(rows, cols):
    """Means over regions by products are torch's adaptive average pooling, also where regions overlap."""
    from bgkit.train.networks.cascade import _means

    x = torch.randn(2, 3, rows, cols)
    for count in (1, 2, 3, 6):
        assert torch.allclose(_means(x, count), torch.nn.functional.adaptive_avg_pool2d(x, count), atol=1e-6)


def test_cascade_runs_whole_then_tiles(tmp_path, monkeypatch):
    """A trained refiner is called on the shrunk whole, then on tiles at full size that hold its first answer."""
    torch.manual_seed(0)
    entry = NETWORKS["cascadepsp"]
    network = build("cascadepsp", width=2).eval()
    layers, _ = scene()
    path = tmp_path / "refiner.onnx"
    export(network, entry, fed(entry, layers), path)
    model = card(entry, path)
    seen = []
    original = Network.run_batch

    def watch(self, pictures):
        answers = original(self, pictures)
        seen.extend((each["image"].shape[:2], each["mask"], one) for each, one in zip(pictures, answers, strict=True))
        return answers

    monkeypatch.setattr(Network, "run_batch", watch)
    with collect_notes() as facts:
        cascade_refine(layers["image"], layers["mask"], model=model, tile=48, sure=0)
    assert [shape for shape, _, _ in seen] == [(32, 48)] + [(48, 48)] * facts["tiles"]
    assert facts["tiles"] == 6
    whole = seen[0][2]
    assert np.ptp(whole) > 0
    for _, mask, _ in seen[1:]:  # the first answer, enlarged, and no longer the mask that was given
        assert whole.min() - 1e-6 <= mask.min() <= mask.max() <= whole.max() + 1e-6


def test_a_still_is_a_film_in_which_nothing_moves(tmp_path):
    """Without a next frame the network sees the picture twice, and the run's facts say so."""
    torch.manual_seed(0)
    entry = NETWORKS["videofcn-dynamic"]
    network = build("videofcn-dynamic", width=4).eval()
    layers, _ = scene()
    export(network, entry, fed(entry, layers), tmp_path / "film.onnx")
    model = card(entry, tmp_path / "film.onnx")
    with collect_notes() as facts:
        still = cascade_refine(layers["image"], layers["mask"], model=model)
    assert facts["next"] is False
    assert np.array_equal(still, cascade_refine(layers["image"], layers["mask"], layers["image"], model=model))
    assert np.abs(still - run_stage("videofcn-dynamic", model, layers)).max() > 1e-6


def test_subject_and_ground_weigh_alike():
    """VideoFCN's loss of an answer of one half is the same for a subject that is small and for its negative."""
    network = build("videofcn-static", width=2)
    small = torch.zeros(1, 1, 32, 32)
    small[..., :16, :8] = 1
    undecided = [torch.zeros(1, 1, side, side) for side in (8, 4, 2)]
    loss = network.loss(undecided, small, small)
    assert loss == pytest.approx(network.loss(undecided, 1 - small, small).item())
    assert loss == pytest.approx(3 * np.log(2) * 2 * 0.125 * 0.875, rel=1e-5)


def test_semantics_and_detail_are_supervised():
    """MODNet's loss sees each of its three answers; the detail only near the edge."""
    network = build("modnet", width=4, multiplier=0.125)
    truth = torch.zeros(1, 1, 64, 64)
    truth[..., 16:48, 16:48] = 1
    image = torch.ones(1, 3, 64, 64)
    perfect = [20 * (2 * truth - 1), 20 * (2 * truth - 1), torch.zeros(1, 1, 4, 4)]
    base = network.loss(perfect, truth, image)
    far, near = perfect[1].clone(), perfect[1].clone()
    far[..., 0, 0], near[..., 16, 16] = 20, -20
    assert network.loss([perfect[0], far, perfect[2]], truth, image) == base
    assert network.loss([perfect[0], near, perfect[2]], truth, image) > base
    assert network.loss([-perfect[0], *perfect[1:]], truth, image) > base
    assert network.loss([*perfect[:2], perfect[2] + 5], truth, image) != base


def test_boundary_loss_is_least_at_the_truth():
    """BASNet's loss is 8 times cross entropy, 1 - SSIM and 1 - IoU: nothing at the truth, much at its opposite."""
    network = build("basnet", width=2)
    truth = torch.zeros(1, 1, 32, 32)
    truth[..., 8:24, 8:24] = 1
    sure = 20 * (2 * truth - 1)
    assert network.loss([sure] * 8, truth, truth) < 1e-3
    assert network.loss([-sure] * 8, truth, truth) > 16
