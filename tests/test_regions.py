"""Regions, the windows in which a network sees them, and the stage that asks one about them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from conftest import disk_scene
from onnx import helper
from onnx_files import value, with_card, write

from bgkit import regions
from bgkit.errors import ModelError
from bgkit.models import KnownModel
from bgkit.models.session import network
from bgkit.stage import collect_notes
from bgkit.stages import region_saliency, regional

CARD = '[output.regions]\nwindows = "windows"\nmdf = "mdf"\nlevels = "levels"\nrcnn = "rcnn"'
GRID = (8, 8)


def red_regions(path, levels=(0.5, 0.5)):
    """A network that scores a region by its mean red, seen in 8 x 8 cells of 64 x 64 pixels."""
    nodes = [
        helper.make_node("AveragePool", ["image"], ["features"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Gather", ["features", "zero"], ["red"], axis=1),
        helper.make_node("Gather", ["windows", "zero"], ["inside"], axis=1),
        helper.make_node("Mul", ["inside", "red"], ["each"]),
        helper.make_node("ReduceSum", ["each", "axes"], ["mdf"], keepdims=0),
        helper.make_node("Identity", ["mdf"], ["rcnn"]),
        helper.make_node("Identity", ["weights"], ["levels"]),
    ]
    return write(
        path,
        nodes,
        [value("image", [1, 3, 64, 64]), value("windows", ["R", 3, *GRID])],
        [value("mdf", ["R"]), value("levels", [len(levels)]), value("rcnn", ["R"])],
        {
            "zero": np.array([0], np.int64),
            "axes": np.array([1, 2, 3], np.int64),
            "weights": np.array(levels, np.float32),
        },
    )


@pytest.fixture
def red(tmp_path):
    return with_card(red_regions(tmp_path / "red.onnx"), "size = 64", CARD)


def patches(rows: int = 48, cols: int = 64, side: int = 8) -> np.ndarray:
    """A picture of squares of one color each."""
    colors = np.random.default_rng(0).random((rows // side, cols // side, 3))
    return colors.repeat(side, 0).repeat(side, 1).astype(np.float32)


# --- the tree ---------------------------------------------------------------------------------------


def test_most_alike_neighbors_are_merged():
    """At each step the pair that is merged is the one that a slow loop over all neighbors finds."""
    image = patches()
    tree = regions.grow_tree(image)
    facts = regions._Facts(image, tree.labels, 2 * tree.leaves - 1)
    alive = set(range(tree.leaves))
    members = {leaf: {leaf} for leaf in alive}
    touching = {frozenset(pair) for pair in regions.neighbors_of(tree.labels).tolist()}
    assert tree.leaves > 30
    for made, pair in enumerate(tree.merges.tolist(), tree.leaves):
        best = max(
            facts.alike(one, [other])[0]
            for one in alive
            for other in alive
            if one < other and any(frozenset((a, b)) in touching for a in members[one] for b in members[other])
        )
        assert facts.alike(pair[0], [pair[1]])[0] == pytest.approx(best, abs=1e-12)
        facts.join(*pair, made)
        alive = (alive - set(pair)) | {made}
        members[made] = members[pair[0]] | members[pair[1]]
    assert members[2 * tree.leaves - 2] == set(range(tree.leaves))


def test_likeness_is_the_sum_of_four():
    """Histogram intersections of color and texture, smallness together, and how well two fill their box."""
    image = np.zeros((10, 20, 3), np.float32)
    image[:, 10:] = 1
    labels = np.zeros((10, 20), np.intp)
    labels[:, 10:] = 1
    facts = regions._Facts(image, labels, 3)
    texture = np.minimum(facts.texture[0], facts.texture[1]).sum()
    black_and_white = 2 / 3  # a and b are alike, L is not
    assert facts.alike(0, [1])[0] == pytest.approx(black_and_white + texture + (1 - 1) + (1 - 0))
    assert facts.color.sum(1)[:2] == pytest.approx([1, 1])
    assert facts.texture.sum(1)[:2] == pytest.approx([1, 1])


def test_cuts_are_nested_and_as_fine_as_asked():
    """So many regions as asked for, each of a coarse cut a union of those of a finer one, and each connected."""
    from scipy.ndimage import label

    tree = regions.grow_tree(patches())
    fine, coarse = (regions.cut_tree(tree, count) for count in (20, 5))
    assert (fine.max() + 1, coarse.max() + 1) == (20, 5)
    assert len({(a, b) for a, b in zip(fine, coarse, strict=True)}) == 20
    picture = coarse[tree.labels]
    assert all(label(picture == number)[1] == 1 for number in range(5))
    assert (regions.cut_tree(tree, 10**6) == np.arange(tree.leaves)).all()
    assert regions.cut_tree(tree, 1).max() == 0


def test_nodes_know_their_boxes():
    """The root's box is the picture, a leaf's what its pixels span."""
    tree = regions.grow_tree(patches())
    assert tree.boxes[-1].tolist() == [0, 0, 48, 64]
    for leaf in range(tree.leaves):
        row, col = np.nonzero(tree.labels == leaf)
        assert tree.boxes[leaf].tolist() == [row.min(), col.min(), row.max() + 1, col.max() + 1]


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2), (3, 17)])
def test_tiny_pictures_have_regions(shape):
    """Pictures of a pixel, a row or a column have at least one region, and windows."""
    tree = regions.grow_tree(np.random.default_rng(0).random((*shape, 3)).astype(np.float32))
    held, windows = regions.proposals(tree, GRID)
    assert len(held) == len(windows) >= 1
    assert windows.shape[1:] == (3, *GRID)


def test_windows_average_over_pixels():
    """Windows times a feature map are its means over the region's pixels, over its surroundings, over the rest."""
    tree = regions.grow_tree(patches())
    labels = regions.cut_tree(tree, 6)[tree.labels]
    features = np.random.default_rng(1).random(GRID).astype(np.float32)
    seen = features.repeat(6, 0).repeat(8, 1)  # 48 x 64 pixels
    found = (regions.context_windows(labels, GRID) * features).sum((2, 3))
    for number, (inside, around, rest) in enumerate(found):
        own = labels == number
        beside = {
            *labels[:, 1:][own[:, :-1]],
            *labels[:, :-1][own[:, 1:]],
            *labels[1:][own[:-1]],
            *labels[:-1][own[1:]],
        }
        row, col = np.nonzero(np.isin(labels, [number, *beside]))
        box = np.zeros_like(own)
        box[row.min() : row.max() + 1, col.min() : col.max() + 1] = True
        expected = [seen[own].mean(), seen[box & ~own].mean(), seen[~own].mean()]
        assert [inside, around, rest] == pytest.approx(expected, rel=1e-4)


def test_proposals_are_regions_and_their_boxes():
    """A proposal's windows are the means over its pixels and over its box; none is as small as a speck."""
    tree = regions.grow_tree(patches())
    held, windows = regions.proposals(tree, (48, 64))
    share = held[:, tree.labels].mean((1, 2))
    assert share.min() >= 0.01 and share.max() <= 0.95
    for leaves, (inside, box, whole) in zip(held, windows, strict=True):
        own = leaves[tree.labels]
        row, col = np.nonzero(own)
        assert np.allclose(inside, own / own.sum())
        assert np.allclose(box[row.min() : row.max() + 1, col.min() : col.max() + 1], box.max())
        assert (box > 0).sum() == (np.ptp(row) + 1) * (np.ptp(col) + 1)
        assert np.allclose(whole, 1 / own.size)


# --- the stage --------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["mdf", "rcnn"])
def test_regions_with_a_high_score_are_marked(red, method):
    """A red disk on black, and a network that likes red: the disk is the mask."""
    image, alpha = disk_scene(96, 128, (0.05, 0.05, 0.05), (1.0, 0.05, 0.05))
    with collect_notes() as facts:
        found = region_saliency(image, method=method, model=red, coherence=0)
    both, either = ((one > 0.5).sum() for one in (np.minimum(found, alpha), np.maximum(found, alpha)))
    assert both / either > 0.8
    assert facts["regions"] >= 1


def test_levels_are_added_with_their_weights(tmp_path):
    """Twice the weights, twice the mask, up to 1."""
    image, _ = disk_scene(64, 64, (0.1, 0.1, 0.1), (0.4, 0.1, 0.1))
    once, twice = (
        region_saliency(
            image,
            model=with_card(red_regions(tmp_path / f"{each}.onnx", (each, each / 2)), "size = 64", CARD),
            coherence=0,
        )
        for each in (0.5, 1.0)
    )
    assert twice == pytest.approx(2 * once, abs=1e-5)


def test_coherence_solves_its_equation():
    """The values have the least energy: no superpixel's derivative differs from zero."""
    tree = regions.grow_tree(patches())
    labels, image = regions.cut_tree(tree, 12)[tree.labels], patches()
    scores = np.random.default_rng(0).random(12)
    found = regional._coherent(scores, labels, image, 3.0)
    pairs = regions.neighbors_of(labels)
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2Lab)
    color = np.array([lab[labels == number].mean(0) for number in range(12)])
    apart = np.array([np.linalg.norm(color[one] - color[other]) for one, other in pairs])
    alike = np.exp(-(apart**2) / (2 * apart.var()))

    def energy(values):
        return ((values - scores) ** 2).sum() + 3 * (alike * (values[pairs[:, 0]] - values[pairs[:, 1]]) ** 2).sum()

    steps = 1e-4 * np.eye(12)
    slopes = [(energy(found + step) - energy(found - step)) / 2e-4 for step in steps]
    assert np.abs(slopes).max() < 1e-4
    assert regional._coherent(scores, labels, image, 0.0) == pytest.approx(scores)


def test_near_duplicates_are_one_object(red, monkeypatch):
    """Of two proposals that overlap the likelier counts alone; one elsewhere counts as well, one below a half not."""
    held = np.array([[1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1]], bool)
    labels = np.arange(5)[None].repeat(10, 1)
    tree = regions.Tree(labels, np.zeros((4, 2), int), np.zeros((9, 4), int))
    monkeypatch.setattr(regional, "proposals", lambda tree, grid: (held, np.zeros((4, 3, *grid), np.float32)))
    chosen = network(red)
    monkeypatch.setattr(chosen, "score_regions", lambda *_: (None, None, np.array([0.9, 0.8, 0.7, 0.3])))
    found, count = regional._rcnn(chosen, np.zeros((1, 5, 3), np.float32), tree)
    assert found.tolist() == [0.9, 0.9, 0, 0.7, 0]
    assert count == 4


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('windows = "windows"', 'windows = "image"', "output.regions.windows: expected a float32 input of any number"),
        ('levels = "levels"', 'levels = "mdf"', "output.regions.levels: expected a number for each level"),
        ('mdf = "mdf"', 'mdf = "mfd"', "expected one of the graph's outputs"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(tmp_path, old, new, message):
    """The names of windows, levels and scores are held against the graph before anything runs."""
    model = with_card(red_regions(tmp_path / "red.onnx"), "size = 64", CARD.replace(old, new))
    with pytest.raises(ModelError, match=message):
        KnownModel("regions").accepts(model)


def test_stages_take_their_own_networks(red):
    """A network that scores regions is none for cnn_mask, which says where it belongs."""
    with pytest.raises(ModelError, match=r"expected a network for cnn_mask, got .* use it in region_saliency"):
        KnownModel("mask").accepts(red)
    with pytest.raises(ModelError, match="expected a network for region_saliency"):
        KnownModel("regions").accepts("coarse")
