"""Training: drawn pictures in, a network out; resumed as if never stopped; exported as it was."""

from __future__ import annotations

import io
import tarfile

import cv2
import numpy as np
import pytest
from conftest import ROOT, disk_scene

torch = pytest.importorskip("torch", reason="training needs bgkit[train]")
pytest.importorskip("onnx", reason="export needs bgkit[train]")

from bgkit.train.data import Augmentation, read_pairs  # noqa: E402
from bgkit.train.export import _mean_weights, export  # noqa: E402
from bgkit.train.loop import Recipe, train  # noqa: E402
from bgkit.train.losses import deep_supervision  # noqa: E402
from bgkit.train.networks.coarse import CoarseNet  # noqa: E402

RECIPE = Recipe(epochs=2, batch=4, sizes=(32, 64), warmup_steps=2, validation=4, threads=1)


def add(archive: tarfile.TarFile, name: str, pixels: np.ndarray) -> None:
    data = cv2.imencode("." + name.split(".")[1], pixels)[1].tobytes()
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """A folder laid out like the real one: 16 disks of various colors, two textures."""
    folder = tmp_path_factory.mktemp("shards")
    rng = np.random.default_rng(0)
    with tarfile.open(folder / "train-00.tar", "w") as archive:
        for number in range(16):
            image, alpha = disk_scene(60, 80, rng.random(3), rng.random(3), seed=number)
            add(archive, f"disk-{number:02}.webp", np.rint(image[..., ::-1] * 255).astype(np.uint8))
            add(archive, f"disk-{number:02}.png", np.rint(alpha * 255).astype(np.uint8))
    with tarfile.open(folder / "backgrounds.tar", "w") as archive:
        for number in range(2):
            add(archive, f"texture-{number}.webp", rng.integers(0, 256, (50, 50, 3), np.uint8))
    return folder


def weights(run) -> dict:
    return torch.load(run / "last.pt", weights_only=True)


def test_reads_pairs_in_color(shards):
    """Pictures come as RGB with their masks, in the order of their names."""
    images, masks, names = read_pairs(shards)
    assert names == sorted(names)
    assert len(images) == 16
    first, alpha = disk_scene(60, 80, *np.random.default_rng(0).random((2, 3)), seed=0)
    assert np.abs(images[0] / 255 - first).mean() < 0.02
    assert np.abs(masks[0] / 255 - alpha).max() < 0.01


def test_absent_shards_are_told(tmp_path):
    """An empty folder says what was expected there."""
    with pytest.raises(FileNotFoundError, match=r"expected shards train-\*\.tar"):
        read_pairs(tmp_path)


@pytest.mark.parametrize("kind", ["plain", "paste", "empty"])
def test_augmentation_keeps_picture_and_mask_together(shards, kind):
    """Samples stay in range and depend on their generator alone; ``empty`` has no subject."""
    images, masks, _ = read_pairs(shards)
    augment = Augmentation(paste=float(kind == "paste"), empty=float(kind == "empty"))
    grounds = [np.full((40, 40, 3), 120, np.uint8)]
    first, truth = augment(images[0], masks[0], grounds, 64, np.random.default_rng(5))
    again, _ = augment(images[0], masks[0], grounds, 64, np.random.default_rng(5))
    assert (first == again).all()
    assert first.shape == (64, 64, 3)
    assert first.dtype == truth.dtype == np.float32
    assert 0 <= first.min() <= first.max() <= 1
    assert (truth.max() == 0) == (kind == "empty")


def test_loss_is_least_at_the_truth():
    """The right answer costs less than a wrong one, at any depth."""
    truth = torch.zeros(2, 1, 16, 16)
    truth[:, :, 4:12, 4:12] = 1
    right, wrong = 20 * truth - 10, 10 - 20 * truth
    half = torch.nn.functional.avg_pool2d(right, 2)
    assert deep_supervision([right, half], truth) < 0.01
    assert deep_supervision([wrong, half], truth) > 1


def test_network_shapes():
    """Five outputs in training, one of the input's size in evaluation, for oblong inputs too."""
    network = CoarseNet()
    outputs = network(torch.zeros(2, 3, 64, 96))
    assert [tuple(output.shape[2:]) for output in outputs] == [(32, 48), (16, 24), (8, 12), (4, 6), (2, 3)]
    with torch.inference_mode():
        assert network.eval()(torch.zeros(1, 3, 64, 96)).shape == (1, 1, 64, 96)


def test_resumed_run_equals_unbroken(shards, tmp_path):
    """Stopped in the middle of an epoch and started again, a run ends with the same bits."""
    train(shards, tmp_path / "unbroken", RECIPE, say=lambda text: None)

    def stop(step, loss):
        if step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(shards, tmp_path / "broken", RECIPE, say=lambda text: None, on_step=stop)
    assert weights(tmp_path / "broken")["step"] == 2
    train(shards, tmp_path / "broken", RECIPE, say=lambda text: None)
    one, two = weights(tmp_path / "unbroken"), weights(tmp_path / "broken")
    assert one["step"] == two["step"] == 6
    for part in ("network", "average"):
        for name, value in one[part].items():
            assert torch.equal(value, two[part][name]), (part, name)
    logs = [(tmp_path / run / "log.jsonl").read_text() for run in ("unbroken", "broken")]
    assert logs[0] == logs[1]


def test_exported_network_answers_as_torch(shards, tmp_path):
    """The ONNX file gives torch's masks within 1e-3, and its card carries the file's checksum."""
    from bgkit.models.card import read_card

    best = train(shards, tmp_path / "run", RECIPE, say=lambda text: None)
    card = tmp_path / "tiny.toml"
    shipped = ROOT / "bgkit" / "models" / "cards" / "coarse.toml"
    card.write_text(shipped.read_text().replace('"coarse', '"tiny'))
    assert export(best, tmp_path / "tiny.onnx", card=card, size=64) < 1e-3
    assert read_card(card).bytes == (tmp_path / "tiny.onnx").stat().st_size


def test_mean_of_checkpoints(shards, tmp_path):
    """Two checkpoints become the network whose weights lie in the middle."""
    paths = []
    for number in range(2):
        torch.manual_seed(number)
        paths.append(tmp_path / f"{number}.pt")
        torch.save({"average": CoarseNet().state_dict()}, paths[-1])
    middle = {
        name: (value + torch.load(paths[1], weights_only=True)["average"][name]) / 2
        for name, value in torch.load(paths[0], weights_only=True)["average"].items()
        if value.is_floating_point()
    }
    mean = _mean_weights(paths)
    assert all(torch.allclose(mean[name], value) for name, value in middle.items())
    assert export(paths, tmp_path / "mean.onnx", size=64) < 1e-3
