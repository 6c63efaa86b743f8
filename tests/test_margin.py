"""A margin put around a finished photograph: chains give what they give of the photograph, and things stay whole."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from bgkit import load_pipeline
from bgkit.backdrop.photograph import Photograph, find_photograph, shows_subject
from bgkit.pipelinefile import read_pipeline

ROWS, COLS = slice(40, 190), slice(60, 260)  # where the photograph lies on its canvas
GROUND = (176, 170, 181)


def without_margin(image: np.ndarray) -> tuple[slice, slice] | None:
    """Return where a photograph lies that is one by its pixels, whatever a network finds."""
    found = find_photograph(image)
    return found.part if found is not None and found.sure else None


def photograph() -> np.ndarray:
    """Return a jar before an uneven gray ground, cut by the frame below, with noise, uint8."""
    alpha = np.zeros((150, 200), np.float32)
    cv2.ellipse(alpha, (90, 105), (38, 62), 0, 0, 360, 1, -1)
    alpha = cv2.GaussianBlur(alpha, (0, 0), 0.8)[..., None]
    rows, cols = np.mgrid[-1:1:150j, -1:1:200j]
    ground = (1 - 0.03 * (rows**2 + cols**2))[..., None] * np.float32(GROUND)
    noise = np.random.default_rng(0).normal(0, 1.2, (150, 200, 3))
    return np.rint(alpha * (60, 90, 40) + (1 - alpha) * ground + noise).clip(0, 255).astype(np.uint8)


def padded(shot: np.ndarray, color: tuple[int, ...] | None = None) -> np.ndarray:
    """Return a shot with a margin of one color, or of its own edge."""
    if color is None:
        return cv2.copyMakeBorder(shot, 40, 30, 60, 50, cv2.BORDER_REPLICATE)
    return cv2.copyMakeBorder(shot, 40, 30, 60, 50, cv2.BORDER_CONSTANT, value=color)


def as_floats(image: np.ndarray) -> np.ndarray:
    return image.astype(np.float32) / np.float32(255)


@pytest.mark.parametrize("color", [GROUND, (171, 166, 176), (190, 184, 194), None])
@pytest.mark.parametrize("pipeline", ["auto", "studio-white"])
def test_the_photograph_s_own_result(pipeline, color):
    """Bit for bit, with nothing in the margin, of which the facts say how wide it is."""
    shot, chain = photograph(), load_pipeline(pipeline)
    found = chain.run(padded(shot, color))
    np.testing.assert_array_equal(found.alpha[ROWS, COLS], chain.run(shot).alpha)
    assert np.count_nonzero(found.alpha) == np.count_nonzero(found.alpha[ROWS, COLS])
    assert found.facts["margin"] == {"top": 40, "bottom": 30, "left": 60, "right": 50}


def as_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """Return a picture as it comes back from a JPEG."""
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


@pytest.mark.parametrize("quality", [85, 92, 97])
@pytest.mark.parametrize("color", [(190, 184, 194), (160, 155, 165)])
@pytest.mark.parametrize("pipeline", ["auto", "studio-white"])
def test_margins_in_a_jpeg(pipeline, color, quality):
    """Blocks at the seam hold both, also below, where the jar is cut; the photograph begins where it did, to the pixel.

    Before, its ground stayed in the result.
    """
    canvas, chain = as_jpeg(padded(photograph(), color), quality), load_pipeline(pipeline)
    found = chain.run(canvas)
    assert found.facts["margin"] == {"top": 40, "bottom": 30, "left": 60, "right": 50}
    alone = chain.run(np.ascontiguousarray(canvas[ROWS, COLS])).alpha
    np.testing.assert_array_equal(found.alpha[ROWS, COLS], alone)


def test_a_smooth_photograph_in_a_jpeg():
    """Little is left of its noise; then the seam is to be seen."""
    shot = cv2.GaussianBlur(photograph(), (0, 0), 1.5)
    canvas = as_floats(as_jpeg(padded(shot, (190, 184, 194)), 75))
    assert without_margin(canvas) == (ROWS, COLS)


def test_margins_on_some_sides():
    """A frame of one side alone is a margin, too."""
    shot = photograph()
    wide = cv2.copyMakeBorder(shot, 0, 0, 0, 300, cv2.BORDER_CONSTANT, value=GROUND)
    assert without_margin(as_floats(wide)) == (slice(0, 150), slice(0, 200))
    low = cv2.copyMakeBorder(shot, 0, 90, 0, 0, cv2.BORDER_REPLICATE)
    assert without_margin(as_floats(low)) == (slice(0, 150), slice(0, 200))


def test_the_plate_is_cut_along():
    """A plate of the same canvas shows the scene without its margin."""
    shot = photograph()
    plate = padded(np.full_like(shot, GROUND), (90, 90, 90))
    chain = load_pipeline("clean-plate")
    alone = chain.run(shot, plate=np.ascontiguousarray(plate[ROWS, COLS])).alpha
    np.testing.assert_array_equal(chain.run(padded(shot, GROUND), plate=plate).alpha[ROWS, COLS], alone)


@pytest.mark.parametrize("keep", [None, ("alpha",)])
def test_steps_that_change_the_picture_and_findings(keep):
    """Light is evened within the margin only, and findings are those of the photograph: its subject is cut."""
    text = "bgkit: 1\nstages: [flat_field, luv_threshold, make_trimap, closed_form_matting, estimate_foreground]\n"
    chain = read_pipeline(text + "checks: {touching: 0, subject: 1}")
    shot = photograph()
    found, alone = chain.run(padded(shot, GROUND), keep=keep), chain.run(shot, keep=keep)
    np.testing.assert_array_equal(found.alpha[ROWS, COLS], alone.alpha)
    assert found.image.shape == (220, 310, 3)
    if keep is None:
        np.testing.assert_array_equal(found.image[ROWS, COLS], alone.image)
    assert found.facts["findings"] == alone.facts["findings"]
    assert found.facts["findings"]["touching"]["value"] > 5


def test_strokes_correct_the_photograph_s_own_result():
    """What strokes do not reach stays as it is without them."""
    canvas, chain = padded(photograph(), GROUND), load_pipeline("studio-white")
    strokes = np.full(canvas.shape[:2], 0.5, np.float32)
    strokes[120:124, 150:154] = 1
    alpha = chain.run(canvas, strokes=strokes).alpha
    np.testing.assert_array_equal(alpha[60:75], chain.run(canvas).alpha[60:75])
    assert alpha[122, 152] == 1


def test_a_brought_mask_that_marks_the_margin_counts():
    """Then the picture is taken as it is."""
    canvas, chain = padded(photograph(), GROUND), load_pipeline("studio-white")
    mask = np.zeros(canvas.shape[:2], np.float32)
    mask[10:100, 70:200] = 1
    found = chain.run(canvas, mask=mask)
    assert "margin" not in found.facts and found.alpha[15, 100] == 1


def noisy(shape: tuple[int, int], color: float, spread: float = 2) -> np.ndarray:
    return np.random.default_rng(1).normal(color, spread, (*shape, 3)).clip(0, 255).astype(np.uint8)


def seen(box: np.ndarray) -> np.ndarray:
    """Return a box on a clipped white ground, as a lens shows it."""
    soft = cv2.GaussianBlur(padded(box, (255, 255, 255)), (0, 0), 0.7)
    soft[45:185, 65:255] = box[5:145, 5:195]
    return soft


def boxes() -> dict[str, np.ndarray]:
    """Return things that fill their bounding box, and frames that are none of the photograph's ground."""
    label = noisy((150, 200), 245)
    label[50:90, 60:140] = 30
    fades = (noisy((150, 200), 240) * np.linspace(0.9, 1.06, 200)[:, None]).clip(0, 255).astype(np.uint8)
    fades[50:90, 60:140] = 30
    disk = np.full((150, 200, 3), 255, np.uint8)
    cv2.ellipse(disk, (100, 75), (100, 75), 0, 0, 360, (90, 120, 160), -1)
    wall = np.tile(np.random.default_rng(2).integers(90, 170, (310, 3)).astype(np.uint8), (220, 1, 1))
    wall[60:200, 20:290] = noisy((140, 270), 40)
    less = wall.copy()
    less[:, 150:] = wall[0, 150:]
    plain = np.empty((150, 200, 3), np.uint8)
    plain[:] = np.linspace(0.97, 1.03, 200)[:, None] * GROUND
    plain[40:110, 50:150] = 30
    smooth = np.full((150, 200, 3), GROUND, np.uint8)
    smooth[40:110, 50:150] = 30
    return {
        "a pale box with a label, straight on pure white": seen(label),
        "one that fades into the white": seen(fades),
        "a clipped white ground, cut to the subject": padded(disk, (255, 255, 255)),
        "a letterbox": padded(photograph(), (0, 0, 0)),
        "a gray photograph on a white page": padded(photograph(), (255, 255, 255)),
        "a gray photograph on a beige page": padded(photograph(), (220, 200, 180)),
        "a subject before drawn stripes": wall,
        "one on less than half of them": less,
        "a drawn box of even light": padded(plain, GROUND),
        "a drawn ground that goes on": padded(smooth, GROUND),
        "a rough thing of the ground's color": padded(noisy((150, 200), 175, 25), (175, 175, 175)),
    }


@pytest.mark.parametrize("name", boxes())
def test_what_is_no_margin(name):
    """It stays in the picture."""
    assert without_margin(as_floats(boxes()[name])) is None


@pytest.mark.parametrize("quality", [75, 90])
@pytest.mark.parametrize("name", list(boxes())[:6])
def test_what_is_no_margin_in_a_jpeg(name, quality):
    """Nor there: lens, color and page say the same."""
    assert without_margin(as_floats(as_jpeg(boxes()[name], quality))) is None


@pytest.mark.parametrize("quality", [None, 80])
@pytest.mark.parametrize("color", [(0, 0, 0), (128, 128, 128), (255, 255, 255)])
def test_any_margin_around_what_a_network_finds_a_subject_in(color, quality):
    """A cup on its table, between bars: the network marks the cup, so the table is no box."""
    shot = np.ascontiguousarray(data.coffee()[::2, ::2])
    canvas = cv2.copyMakeBorder(shot, 61, 63, 21, 27, cv2.BORDER_CONSTANT, value=color)
    canvas = canvas if quality is None else as_jpeg(canvas, quality)
    chain, part = load_pipeline("auto"), (slice(61, -63), slice(21, -27))
    found = find_photograph(as_floats(canvas))
    assert found == Photograph((slice(61, 261), slice(21, 321)), sure=False)
    found = chain.run(canvas)
    assert found.facts["margin"] == {"top": 61, "bottom": 63, "left": 21, "right": 27}
    np.testing.assert_array_equal(found.alpha[part], chain.run(np.ascontiguousarray(canvas[part])).alpha)
    assert np.count_nonzero(found.alpha) == np.count_nonzero(found.alpha[part])


@pytest.mark.parametrize("pipeline", ["auto", "studio-white"])
@pytest.mark.parametrize("name", ["a pale box with a label, straight on pure white", "a letterbox"])
def test_what_fills_a_rectangle_stays_and_is_told(name, pipeline):
    """A network marks it whole. It may be a photograph all the same, whose ground is kept then: a finding says so."""
    found = load_pipeline(pipeline).run(boxes()[name])
    assert found.alpha[ROWS, COLS].mean() > 0.98
    assert found.facts["perhaps_margin"] == {"top": 40, "bottom": 30, "left": 60, "right": 50}
    covered = found.facts["findings"]["covered"]
    assert covered["flagged"] and covered["value"] == pytest.approx(100 * found.alpha[ROWS, COLS].mean(), abs=0.01)


def test_without_a_network_it_stays():
    """Nothing tells a box from a photograph there; a mask that is brought does."""
    canvas, chain = padded(photograph(), (255, 255, 255)), load_pipeline("classical")
    found = chain.run(canvas)
    assert "margin" not in found.facts and "perhaps_margin" in found.facts
    mask = np.zeros(canvas.shape[:2], np.float32)
    mask[90:180, 110:190] = 1
    assert chain.run(canvas, mask=mask).facts["margin"] == {"top": 40, "bottom": 30, "left": 60, "right": 50}


@pytest.mark.parametrize(
    ("marked", "photograph"),
    [
        ((slice(60, 160), slice(90, 200)), True),  # within
        ((slice(100, 190), slice(60, 160)), True),  # cut by the frame, in a corner
        ((slice(40, 190), slice(60, 260)), False),  # the whole
        ((slice(40, 190), slice(60, 240)), False),  # all but one side
        ((slice(0, 0), slice(0, 0)), False),  # nothing
    ],
)
def test_a_photograph_shows_a_subject_and_is_none(marked, photograph):
    """Half of its sides at least are free."""
    mask = np.zeros((220, 310), np.float32)
    mask[marked] = 1
    assert shows_subject(mask, (ROWS, COLS)) is photograph


@pytest.mark.parametrize("offset", range(16))
def test_where_it_begins_within_a_block(offset):
    """JPEG smears the seam within blocks of 8 and 16 px; the photograph begins where it did, also where it is cut."""
    canvas = np.full((260, 330, 3), 255, np.uint8)
    rows, cols = slice(40 + offset, 190 + offset), slice(50 + offset, 250 + offset)
    canvas[rows, cols] = photograph()
    for quality in (75, 92):
        assert find_photograph(as_floats(as_jpeg(canvas, quality))) == Photograph((rows, cols), sure=False)


@pytest.mark.parametrize("quality", [None, 75, 90])
@pytest.mark.parametrize("color", [(0, 0, 0), (60, 60, 200), (255, 255, 255)])
@pytest.mark.parametrize("width", [1, 3, 10, 16])
def test_a_line_around_a_picture(width, color, quality):
    """It is left aside to the pixel, or one more, which JPEG mixed; also below, before a dark jar."""
    framed = cv2.copyMakeBorder(photograph(), *[width] * 4, cv2.BORDER_CONSTANT, value=color)
    found = find_photograph(as_floats(framed if quality is None else as_jpeg(framed, quality)))
    assert found is not None and found.sure
    for side, length in zip(found.part, framed.shape, strict=False):
        assert width <= side.start <= width + 1 and width <= length - side.stop <= width + 1
    assert quality is not None or found.part == (slice(width, width + 150), slice(width, width + 200))


def test_what_begins_near_an_unseen_seam_is_no_seam():
    """On its own color nobody sees where a photograph begins; a thing a little further in is in it."""
    shot = photograph()
    shot[12:60, 20:80] = 30
    found = find_photograph(as_floats(padded(shot, GROUND)))
    assert found is not None and found.sure and found.part == (ROWS, COLS)


def test_a_row_that_is_half_line_goes_with_it():
    """A picture that was scaled has such rows."""
    framed = cv2.copyMakeBorder(photograph(), 3, 3, 3, 3, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    framed[3, 3:-3] //= 2
    assert find_photograph(as_floats(framed)) == Photograph((slice(4, 153), slice(3, 203)), sure=True)


def test_a_line_is_no_subject():
    """Before, its ground was taken for the line's, and the line for the subject."""
    shot, chain = photograph(), load_pipeline("studio-white")
    shot[:, -4:] = 0  # as scanners leave it
    alpha = chain.run(as_jpeg(shot, 90)).alpha
    assert not alpha[:, -4:].any()
    rest = np.ascontiguousarray(as_jpeg(shot, 90)[:, :-4])
    np.testing.assert_array_equal(alpha[:, :-4], chain.run(rest).alpha)


def test_lines_within_a_margin():
    """A white page around a black frame around the photograph."""
    framed = cv2.copyMakeBorder(photograph(), 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    assert find_photograph(as_floats(padded(framed, (255, 255, 255)))) == Photograph(
        (slice(42, 192), slice(62, 262)), sure=False
    )


def test_what_is_no_line():
    """A jar that fills the lower edge, a floor that begins softly, a pole beside the subject, a table's edge."""
    jar = photograph()
    jar[140:, 15:185] = (40, 60, 30)
    floor = photograph()
    floor[-14:] = (floor[-14:] * np.linspace(0.95, 0.3, 14)[:, None, None]).astype(np.uint8)
    pole = photograph()
    pole[20:, -8:] = 30
    table = photograph()
    table[-20:] = noisy((20, 200), 60)
    for shot in (photograph(), jar, floor, pole, table):
        for quality in (75, 95):
            assert find_photograph(as_floats(as_jpeg(shot, quality))) is None


@pytest.mark.parametrize("color", [(0, 0, 0), (255, 255, 255)])
def test_a_margin_that_was_compressed_twice(color):
    """Its values differ by a level or two; a network finds the cup."""
    shot = np.ascontiguousarray(data.coffee()[::2, ::2])
    canvas = cv2.copyMakeBorder(shot, 61, 63, 0, 0, cv2.BORDER_CONSTANT, value=color)
    noise = np.random.default_rng(3).integers(-1, 2, canvas.shape)
    canvas = (as_jpeg(canvas, 80) + noise).clip(0, 255).astype(np.uint8)
    assert find_photograph(as_floats(canvas)) == Photograph((slice(61, 261), slice(0, 300)), sure=False)
    assert load_pipeline("auto").run(canvas).facts["margin"] == {"top": 61, "bottom": 63, "left": 0, "right": 0}


@pytest.mark.parametrize("slope", [0.05, 0.2, 0.5, 1.0, 2.0])
def test_light_that_changes_is_no_margin(slope):
    """A clean ground whose light falls off downwards has equal rows, nearly, for a while."""
    ground = 240 - slope * np.arange(300)[:, None, None] * np.ones((1, 400, 3))
    ground[150:, 150:250] = 50
    noise = np.random.default_rng(4).normal(0, 0.5, ground.shape)
    shot = np.rint(ground.clip(0, 240) + noise).clip(0, 255).astype(np.uint8)
    assert find_photograph(as_floats(shot)) is None and find_photograph(as_floats(as_jpeg(shot, 85))) is None


def test_a_wall_behind_a_subject_is_no_margin():
    """It ends straight at the table, but what stands there reaches before it."""
    mask = np.zeros((220, 310), np.float32)
    mask[80:160, 100:180] = 1
    assert shows_subject(mask, (slice(60, 220), slice(0, 310)))
    assert not shows_subject(mask, (slice(110, 220), slice(0, 310)))


def test_a_dark_part_before_black():
    """Nobody sees where it begins; the rest of the side says it."""
    shot = photograph()
    shot[:, :90] = np.linspace(1, 0, 90)[:, None] * 40
    canvas = cv2.copyMakeBorder(shot, 43, 37, 0, 0, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    found = find_photograph(as_floats(as_jpeg(canvas, 85)))
    assert found is not None and found.part == (slice(43, 193), slice(0, 200))


def test_empty_and_tiny_pictures():
    """One color throughout has no photograph in it, and one of a few pixels shows no backdrop."""
    for shape in ((1, 1), (1, 300), (300, 1), (300, 300)):
        assert without_margin(np.full((*shape, 3), 0.5, np.float32)) is None
    canvas = np.full((300, 300, 3), GROUND, np.uint8)
    canvas[100:140, 100:140] = photograph()[:40, :40]
    assert without_margin(as_floats(canvas)) is None
