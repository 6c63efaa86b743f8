"""Samples: picture and mask stay together, chances are what they say, second inputs fit the truth."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs bgkit[train]")

from train_pictures import scenes  # noqa: E402

from bgkit.train.augmenting import draw, whole  # noqa: E402
from bgkit.train.data import batches, samples  # noqa: E402
from bgkit.train.extra_inputs import UNKNOWN, spoil, trimap_of  # noqa: E402
from bgkit.train.moving import next_frame  # noqa: E402
from bgkit.train.networks import Entry  # noqa: E402
from bgkit.train.pictures import Pictures  # noqa: E402
from bgkit.train.recipe import Augmentation  # noqa: E402
from bgkit.train.scoring import predict  # noqa: E402

NONE = {**dict.fromkeys(Augmentation.__dataclass_fields__, 0.0), "smallest": 1.0}
CHANCES = [name for name in NONE if name not in ("texture", "closest", "smallest", "ragged")]
GROUNDS = [np.full((40, 40, 3), (10, 20, 250), np.uint8)]


def picture():
    _, image, mask = next(scenes())
    return image, mask


def pictures() -> Pictures:
    names, images, masks = zip(*scenes(), strict=True)
    return Pictures(images, masks, names)


def test_without_chances_a_sample_is_the_picture():
    """All chances at 0: the picture stretched to a square, and its mask."""
    image, mask = np.zeros((40, 40, 3), np.uint8), np.zeros((40, 40), np.uint8)
    image[10:30, 10:30], mask[10:30, 10:30] = 200, 255
    drawn = draw(image, mask, [], 40, Augmentation(**NONE), np.random.default_rng(0))
    assert np.abs(drawn.picture - image / 255).max() < 0.01
    assert np.abs(drawn.truth - mask / 255).max() < 0.01


@pytest.mark.parametrize("chance", CHANCES)
def test_each_chance_does_something(chance):
    """At 1 a sample differs from the one at 0, stays in range, and depends on its generator alone."""
    image, mask = picture()
    plain = draw(image, mask, GROUNDS, 48, Augmentation(**NONE), np.random.default_rng(5))
    other = (np.full_like(image, 90), np.zeros_like(mask))
    drawn, again = (
        draw(image, mask, GROUNDS, 48, Augmentation(**{**NONE, chance: 1.0}), np.random.default_rng(5), partner=other)
        for _ in range(2)
    )
    assert (drawn.picture == again.picture).all() and (drawn.truth == again.truth).all()
    assert np.abs(drawn.picture - plain.picture).max() > 0.01
    assert 0 <= drawn.picture.min() <= drawn.picture.max() <= 1
    assert drawn.picture.dtype == drawn.truth.dtype == np.float32


def test_closest_is_the_smallest_part_a_crop_shows():
    """Where the picture is the height of each pixel, a crop's range tells how much of it is seen."""
    image = np.broadcast_to(np.arange(200, dtype=np.uint8)[:, None, None], (200, 200, 3)).copy()
    seen = [
        np.ptp(draw(image, image[..., 0], [], 64, Augmentation(**{**NONE, "crop": 1, "closest": closest}), rng).picture)
        for closest in (0.9, 0.1)
        for rng in map(np.random.default_rng, range(20))
    ]
    assert min(seen[:20]) > 0.6 and 0.2 < min(seen[20:]) < 0.4


@pytest.mark.parametrize("chance", ["empty", "vacant"])
def test_samples_of_nothing_have_no_subject(chance):
    """Ground alone, and a part of a picture beside its subject: the truth is 0 throughout."""
    image, mask = np.full((44, 60, 3), 90, np.uint8), np.zeros((44, 60), np.uint8)
    mask[:, :10] = 255
    for seed in range(5):
        chances = Augmentation(**{**NONE, chance: 1.0})
        assert draw(image, mask, GROUNDS, 32, chances, np.random.default_rng(seed)).truth.max() == 0


def test_a_vacant_part_is_of_the_picture():
    """It shows the picture's own ground, not a new one; where the subject fills the frame, the sample is ordinary."""
    image, mask = np.full((40, 60, 3), 90, np.uint8), np.zeros((40, 60), np.uint8)
    image[:, :8], mask[:, :8] = 255, 255
    chances = Augmentation(**{**NONE, "vacant": 1.0})
    drawn = draw(image, mask, GROUNDS, 32, chances, np.random.default_rng(1))
    assert np.abs(drawn.picture - 90 / 255).max() < 0.01
    full = draw(image, np.full_like(mask, 255), GROUNDS, 32, chances, np.random.default_rng(1))
    assert full.truth.min() == 1


def test_pasted_ground_is_texture_or_plain_as_asked():
    """texture 1 pastes on a given picture, texture 0 never does."""
    image, mask = np.zeros((40, 40, 3), np.uint8), np.zeros((40, 40), np.uint8)
    for texture in (0.0, 1.0):
        chances = Augmentation(**{**NONE, "paste": 1.0, "texture": texture})
        drawn = [draw(image, mask, GROUNDS, 16, chances, np.random.default_rng(seed)).picture for seed in range(6)]
        is_texture = [np.abs(each - GROUNDS[0][0, 0] / 255).max() < 0.01 for each in drawn]
        assert all(is_texture) if texture else not any(is_texture)


def test_a_mixed_sample_shows_both_subjects():
    """The other picture is ground, its subject stays subject; where both are the first one is seen."""
    image, mask = np.full((40, 40, 3), 200, np.uint8), np.zeros((40, 40), np.uint8)
    other, beneath = np.full((40, 40, 3), 90, np.uint8), np.zeros((40, 40), np.uint8)
    mask[:20], beneath[10:30] = 255, 255
    chances = Augmentation(**{**NONE, "mix": 1.0})
    drawn = draw(image, mask, GROUNDS, 40, chances, np.random.default_rng(0), partner=(other, beneath))
    assert np.abs(drawn.picture - np.where(mask > 0, 200, 90)[..., None] / 255).max() < 0.01
    assert np.abs(drawn.truth - np.maximum(mask, beneath) / 255).max() < 0.01


def test_a_close_subject_is_cut_by_the_frame_before_plain_ground():
    """Most are cut, none fills the frame; the ground has no texture; some outlines show another picture."""
    image, mask = np.full((60, 60, 3), 200, np.uint8), np.zeros((60, 60), np.uint8)
    other = np.full((60, 60, 3), 90, np.uint8)
    mask[15:45, 20:40] = 255
    chances, looks, cut = Augmentation(**{**NONE, "close": 1.0, "texture": 0.0}), set(), 0
    for seed in range(20):
        drawn = draw(image, mask, GROUNDS, 48, chances, np.random.default_rng(seed), partner=(other, 0 * mask))
        edge = np.concatenate([drawn.truth[0], drawn.truth[-1], drawn.truth[:, 0], drawn.truth[:, -1]])
        cut += edge.max() > 0.9
        assert 0.05 < drawn.truth.mean() <= 0.86
        ground = drawn.truth < 0.01
        within = ground[:, 1:] & ground[:, :-1]
        assert np.abs(np.diff(drawn.picture, axis=1))[within].max() < 0.05
        looks.add(round(255 * float(np.median(drawn.picture[drawn.truth > 0.99]))))
    assert cut >= 12
    assert 200 in looks and 90 in looks


def test_a_ragged_subject_is_frayed_broken_or_patched_and_its_truth_says_where():
    """Before plain ground whatever differs is subject still; outlines get longer, and gaps open within them."""
    image, mask = np.full((60, 60, 3), 250, np.uint8), np.zeros((60, 60), np.uint8)
    other = np.full((60, 60, 3), 90, np.uint8)
    mask[10:50, 10:50] = 255
    looks, broken, longest = 0, 0, 0.0
    for seed in range(30):
        drawn = [
            draw(image, mask, (), 96, Augmentation(**{**NONE, "close": 1.0, "ragged": ragged}),
                 np.random.default_rng(seed), partner=(other, 0 * mask))
            for ragged in (0.0, 1.0)
        ]  # fmt: skip
        for each in drawn:
            inside, outside = each.truth > 0.99, cv2.dilate(each.truth, np.ones((5, 5))) < 0.01
            assert np.abs(np.diff(each.picture, axis=1))[outside[:, 1:] & outside[:, :-1]].max(initial=0) < 0.05
            colors = {round(255 * float(value)) for value in np.unique(each.picture[inside].round(2))}
        looks += {90, 250} <= {min((90, 250), key=lambda known, color=color: abs(known - color)) for color in colors}
        length = [float(np.abs(np.diff(each.truth)).sum()) for each in drawn]
        longest = max(longest, length[1] / max(length[0], 1))
        count = [cv2.connectedComponents(np.uint8(each.truth < 0.5))[0] for each in drawn]
        broken += count[1] > count[0] + 1
    assert looks >= 3 and broken >= 3 and longest > 1.5


@pytest.mark.parametrize(
    ("window", "place"),
    [
        (np.s_[16:24, 16:24], ""),
        (np.s_[20:, 10:30], "bottom"),
        (np.s_[10:30, :20], "left"),
        (np.s_[:9, 31:], "top right"),
    ],
)
def test_a_shrunk_subject_stays_at_the_border_that_cuts_it(window, place):
    """It covers less, by no more than asked; what is cut by the frame is not shown hanging in the air."""
    image, mask = np.full((40, 40, 3), 200, np.uint8), np.zeros((40, 40), np.uint8)
    mask[window] = 255
    chances = Augmentation(**{**NONE, "paste": 1.0, "smallest": 0.25})
    areas = []
    for seed in range(20):
        truth = draw(image, mask, GROUNDS, 80, chances, np.random.default_rng(seed)).truth
        edges = {"left": truth[:, 0], "right": truth[:, -1], "top": truth[0], "bottom": truth[-1]}
        assert all(edges[name].max() > 0.4 for name in place.split())
        areas.append(truth.mean() / (mask.mean() / 255))
    assert 0.2 < min(areas) < 0.5 and 0.7 < max(areas) < 1.05


def test_other_colors_leave_grays_gray_and_are_drawn_for_subject_and_ground_apart():
    """Turned about the axis of grays; with powers that differ by channel grays change little."""
    image, mask = np.full((40, 40, 3), (200, 60, 60), np.uint8), np.zeros((40, 40), np.uint8)
    mask[:20] = 255
    chances = Augmentation(**{**NONE, "mix": 1.0, "recolor": 1.0})
    drawn = draw(image, mask, [], 40, chances, np.random.default_rng(3), partner=(image, np.zeros_like(mask)))
    above, below = drawn.picture[:18].reshape(-1, 3), drawn.picture[22:].reshape(-1, 3)
    assert np.ptp(above, 0).max() < 0.01 and np.ptp(below, 0).max() < 0.01
    assert np.abs(above.mean(0) - below.mean(0)).max() > 0.1
    black = draw(0 * image, mask, [], 40, chances, np.random.default_rng(3), partner=(0 * image, mask))
    assert black.picture.max() < 0.01


def test_a_plate_is_the_ground_a_little_other():
    """Outside the subject picture and plate agree within light and shift; within it they do not."""
    image, mask = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), np.uint8)
    mask[20:44, 20:44] = 255
    drawn = draw(image, mask, [], 64, Augmentation(**NONE), np.random.default_rng(2), plate=True)
    outside, inside = drawn.truth == 0, drawn.truth == 1
    gap = np.abs(drawn.picture - drawn.plate).mean(2)
    assert gap[outside].mean() < 0.06 < gap[inside].mean()
    assert (drawn.picture != drawn.plate)[outside].any()


def test_a_plate_of_a_mixed_sample_shows_the_partner_whole():
    """What stands on the plate too is ground: the truth is the pasted subject alone."""
    image, mask = np.full((64, 64, 3), 255, np.uint8), np.zeros((64, 64), np.uint8)
    other, beneath = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), np.uint8)
    mask[:, :20], beneath[:, 40:], other[:, 40:] = 255, 255, 128
    chances = Augmentation(**{**NONE, "mix": 1.0})
    drawn = draw(image, mask, [], 64, chances, np.random.default_rng(2), plate=True, partner=(other, beneath))
    assert (drawn.truth[:, :19] == 1).all() and (drawn.truth[:, 21:] == 0).all()
    assert np.abs(drawn.plate[:, 44:] - drawn.picture[:, 44:]).mean() < 0.05 < drawn.plate[:, 44:].mean()


def test_a_trimap_holds_for_its_truth():
    """Known pixels are what the truth says; every uncertain one is unknown; the band's width varies."""
    truth = whole(*picture(), [], 64, np.random.default_rng(0)).truth
    widths = set()
    for seed in range(6):
        trimap = trimap_of(truth, np.random.default_rng(seed))
        assert set(np.unique(trimap)) == {np.float32(0), np.float32(UNKNOWN), np.float32(1)}
        assert truth[trimap == 1].min() >= 0.98 and truth[trimap == 0].max() <= 0.02
        widths.add(int((trimap == np.float32(UNKNOWN)).sum()))
    assert len(widths) > 1


def test_a_spoiled_mask_is_wrong_but_like_the_truth():
    """It overlaps with the truth and differs from it, each time otherwise; of nothing there may be a blob."""
    truth = whole(*picture(), [], 64, np.random.default_rng(0)).truth
    overlaps = []
    for seed in range(8):
        mask = spoil(truth, np.random.default_rng(seed))
        assert 0 <= mask.min() <= mask.max() <= 1
        overlaps.append(((mask > 0.5) & (truth > 0.5)).sum() / ((mask > 0.5) | (truth > 0.5)).sum())
    assert 0.3 < min(overlaps) < max(overlaps) < 1
    assert len(set(overlaps)) == len(overlaps)


@pytest.mark.parametrize("second", ["plate", "trimap", "mask", "next"])
def test_batches_depend_on_seed_epoch_and_number_alone(second):
    """Begun in the middle, an epoch goes on with the same batches; another epoch has others."""
    entry = Entry("", "", inputs=("image", second))
    given = {"size": 32, "batch": 3, "seed": 7}
    full = list(batches(pictures(), GROUNDS, entry, Augmentation(), epoch=2, **given))
    late = list(batches(pictures(), GROUNDS, entry, Augmentation(), epoch=2, first=2, **given))
    assert [len(full), len(late)] == [4, 2]
    for (inputs, truth), (inputs_again, truth_again) in zip(full[2:], late, strict=True):
        assert all(torch.equal(one, two) for one, two in zip(inputs, inputs_again, strict=True))
        assert torch.equal(truth, truth_again)
    other = next(batches(pictures(), GROUNDS, entry, Augmentation(), epoch=3, **given))
    assert not torch.equal(other[0][0], full[0][0][0])
    assert full[0][0][1].shape == (3, 3 if second in ("plate", "next") else 1, 32, 32)


def test_inputs_are_normalized_as_the_entry_says():
    """Mean and deviation are the network's own."""
    (drawn, inputs, truth), *_ = samples(
        pictures(), [], Entry("", "", mean=(0.5, 0, 0), deviation=(0.5, 1, 1)), size=16, seed=0
    )
    assert inputs[0][0, 0].numpy() == pytest.approx((drawn.picture[..., 0] - 0.5) / 0.5, abs=1e-6)
    assert inputs[0][0, 1].numpy() == pytest.approx(drawn.picture[..., 1], abs=1e-6)
    assert truth[0, 0].numpy() == pytest.approx(drawn.truth)


def test_a_trimap_network_is_scored_as_its_stage_uses_it():
    """Known pixels are the trimap's, whatever the network says there, which no loss has taught it."""
    entry = Entry("drawn:Drawn", "a drawn one", inputs=("image", "trimap"))
    trimap = torch.tensor([[[[0.0, UNKNOWN, 1.0]]]])
    found = predict(lambda image, given: torch.zeros_like(given), entry, (torch.zeros(1, 3, 1, 3), trimap))
    assert found.tolist() == [[[[0.0, 0.5, 1.0]]]]


def test_next_frame_moves_subject_and_scene_by_themselves():
    """A square on a ramp: some next frames have it elsewhere on the ground that stays, some all of it, some nothing."""
    size = 64
    picture = np.repeat(np.linspace(0.2, 0.6, size, dtype=np.float32)[None, :, None], size, 0).repeat(3, 2)
    truth = np.zeros((size, size), np.float32)
    truth[24:40, 24:40] = 1
    picture[truth > 0] = (0.9, 0.1, 0.1)
    seen = set()
    for seed in range(24):
        after = next_frame(picture, truth, np.random.default_rng(seed))
        assert after.min() > -1e-4
        assert after.max() < 1 + 1e-4
        red = after[..., 0] - after[..., 1] > 0.4
        assert 0.6 < red.sum() / truth.sum() < 1.5  # the subject is there, once: what it left is filled
        ground = np.abs(after - picture)[:8, 8:-8].max() > 5e-3
        moved = bool((red != (truth > 0.5)).sum() > 8)
        seen.add((ground, moved))
    assert {(False, False), (False, True), (True, True)} <= seen


def test_tags_are_what_is_in_the_sample():
    """A subject or none; a texture, plain ground, or nobody knows, where the picture stays as it is."""
    _, image, mask = next(scenes(1))
    texture = {**NONE, "texture": 1.0}
    for chances, expected in [
        ({**texture, "empty": 1}, (0, 1)),
        ({**NONE, "empty": 1}, (0, 0)),
        ({**texture, "paste": 1}, (1, 1)),
        ({**NONE, "paste": 1}, (1, 0)),
        (NONE, (1, -1)),
    ]:
        drawn = draw(image, mask, GROUNDS, 32, Augmentation(**chances), np.random.default_rng(0))
        assert drawn.tags == expected
