"""Losses, the learning rate, and Muon's steps."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs bgkit[train]")

from bgkit.train.losses import boundary_iou, deep_supervision, gradient, soft_iou, ssim  # noqa: E402
from bgkit.train.networks.coarse import CoarseNet  # noqa: E402
from bgkit.train.optimizing import Muon, make_optimizers, orthogonal, rate  # noqa: E402
from bgkit.train.recipe import Loss, Optimizer, Schedule  # noqa: E402

torch.set_num_threads(1)  # networks this small wait for threads longer than they compute


def square() -> torch.Tensor:
    truth = torch.zeros(2, 1, 16, 16)
    truth[:, :, 4:12, 4:12] = 1
    return truth


@pytest.mark.parametrize("name", ["cross_entropy", "iou", "ssim"])
def test_each_loss_is_least_at_the_truth(name):
    """The right answer costs less than a wrong one, at any depth."""
    loss = Loss(**{"cross_entropy": 0.0, "iou": 0.0, "ssim": 0.0, name: 1.0})
    right, wrong = 20 * square() - 10, 10 - 20 * square()
    half = torch.nn.functional.avg_pool2d(right, 2)
    assert deep_supervision([right, half], square(), loss) < 0.01
    assert deep_supervision([wrong, half], square(), loss) > 0.4


def test_weights_of_losses_and_depths():
    """A loss counts as often as its weight says; coarser outputs count half, or equally."""
    right, wrong = 20 * square() - 10, 10 - 20 * square()
    one = deep_supervision([wrong], square(), Loss(iou=0))
    assert deep_supervision([wrong], square(), Loss(iou=0, cross_entropy=3)) == pytest.approx(3 * one.item(), rel=1e-5)
    halving = deep_supervision([wrong, right], square(), Loss(iou=0))
    equal = deep_supervision([wrong, right], square(), Loss(iou=0, supervision="equal"))
    assert halving == pytest.approx(one.item() * 2 / 3, rel=1e-3)
    assert equal == pytest.approx(one.item() / 2, rel=1e-3)


def test_soft_iou_by_hand():
    """Half of a subject found: intersection 2 of union 4, with the constant 0.002 of 8 pixels."""
    target, found = torch.tensor([[[[1.0, 1, 1, 1, 0, 0, 0, 0]]]]), torch.tensor([[[[1.0, 1, 0, 0, 0, 0, 0, 0]]]])
    assert soft_iou(found, target).item() == pytest.approx(1 - (2 + 0.016) / (4 + 0.016))


def test_gradient_is_sobels():
    """The size that scikit-image gives, which divides it by 4 and by the root of 2, away from the border."""
    from skimage.filters import sobel

    image = np.random.default_rng(0).random((12, 15)).astype(np.float32)
    found = gradient(torch.from_numpy(image)[None, None])[0, 0].numpy()
    assert found[1:-1, 1:-1] / 4 / np.sqrt(2) == pytest.approx(sobel(image)[1:-1, 1:-1], abs=1e-3)


def test_boundary_counts_contours_only():
    """The truth costs nothing, nor does a map without contours for one without; a square set off by 4 px costs most."""
    truth = square()
    assert boundary_iou(truth, truth) < 1e-4
    assert boundary_iou(torch.full_like(truth, 0.3), torch.zeros_like(truth)) < 1e-3
    assert boundary_iou(truth.roll(1, 3), truth) < boundary_iou(truth.roll((4, 4), (2, 3)), truth)
    assert boundary_iou(truth.roll((4, 4), (2, 3)), truth) > 0.7
    by_word = deep_supervision([20 * truth - 10], truth.roll(1, 3), Loss(cross_entropy=0, iou=0, boundary=2))
    assert by_word == pytest.approx(2 * boundary_iou(truth, truth.roll(1, 3)).item(), rel=1e-2)


def test_ssim_as_scikit_image_has_it():
    """Windows of 11 pixels, away from the border, as skimage.metrics computes them."""
    from skimage.metrics import structural_similarity

    one, two = np.random.default_rng(0).random((2, 40, 40))
    _, image = structural_similarity(one, two, win_size=11, data_range=1, use_sample_covariance=False, full=True)
    found = ssim(*(torch.from_numpy(each)[None, None] for each in (one[10:31, 10:31], two[10:31, 10:31])))
    inner = ssim(*(torch.from_numpy(each)[None, None] for each in (one[10:21, 10:21], two[10:21, 10:21])))
    assert found.item() == pytest.approx(image[10:31, 10:31].mean(), abs=0.05)
    assert inner.item() == pytest.approx(image[10:21, 10:21].mean(), abs=0.1)
    assert ssim(*[torch.from_numpy(one)[None, None]] * 2).item() == pytest.approx(1)


def test_schedules():
    """Cosine ends near 0; slight decay loses the same share with each epoch; both rise first."""
    cosine = [rate(Schedule(warmup=4), step, 100, 10) for step in range(100)]
    assert cosine[0] == pytest.approx(0.25) and max(cosine) > 0.98 and cosine[-1] < 0.001
    slight = Schedule(kind="exponential", decay=0.9, warmup=0)
    assert [rate(slight, step, 100, 10) for step in (0, 9, 10, 25)] == pytest.approx([1, 1, 0.9, 0.81])


@pytest.mark.parametrize("shape", [(8, 30), (30, 8)])
def test_muons_update_is_nearly_orthogonal(shape):
    """Singular values come near 1, directions stay."""
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found = orthogonal(matrix)
    values = torch.linalg.svdvals(found)
    assert values.min() > 0.6 and values.max() < 1.3
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    assert (found - u @ v).abs().max() < 0.2


def test_muons_steps_are_as_large_as_adamws():
    """The root mean square of a step is near 0.2 of the learning rate, whatever the gradient's size."""
    weight = torch.nn.Parameter(torch.zeros(32, 16, 3, 3))
    weight.grad = 1e-5 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    Muon([weight], lr=0.01).step()
    assert weight.detach().square().mean().sqrt().item() == pytest.approx(0.2 * 0.01, rel=0.25)


def test_muon_takes_inner_convolutions_only():
    """First layers, single outputs and biases go to AdamW, and every weight to one of the two, once."""
    network = CoarseNet((4, 4, 4, 4, 4))
    adam, muon = make_optimizers(network, Optimizer(kind="muon")).parts
    turned = [weight for group in muon.param_groups for weight in group["params"]]
    rest = [weight for group in adam.param_groups for weight in group["params"]]
    assert turned and all(weight.ndim == 4 and weight.shape[0] > 1 and weight.shape[1] > 3 for weight in turned)
    assert sorted(map(id, turned + rest)) == sorted(map(id, network.parameters()))


@pytest.mark.parametrize("kind", ["adamw", "rmsprop", "sgd", "muon"])
def test_each_optimizer_lessens_the_loss(kind):
    """Twenty steps on one picture cost less than the first."""
    torch.manual_seed(0)
    network = CoarseNet((4, 4, 8, 8, 8), (0, 0, 0, 0, 0)).train()
    steps = make_optimizers(network, Optimizer(kind=kind, learning_rate=1e-2 if kind != "rmsprop" else 1e-3))
    truth = torch.zeros(2, 1, 32, 32)
    truth[:, :, 8:24, 8:24] = 1
    costs = []
    for _ in range(20):
        loss = deep_supervision(network(truth.repeat(1, 3, 1, 1)), truth)
        steps.zero_grad()
        loss.backward()
        steps.step()
        costs.append(loss.item())
    assert costs[-1] < 0.8 * costs[0]


def test_biases_are_not_decayed():
    """Weight decay pulls at matrices only."""
    for part in make_optimizers(CoarseNet((4, 4, 4, 4, 4)), Optimizer(weight_decay=0.1)).parts:
        for group in part.param_groups:
            assert {weight.ndim > 1 for weight in group["params"]} == {group["weight_decay"] > 0}
