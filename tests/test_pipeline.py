"""Pipelines: read with places, checked before the first pixel, planned around what is brought, run."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
import weakref

import numpy as np
import pytest

import bgkit
from bgkit import findings, stages
from bgkit.errors import BgkitError, LayerError, ParamError, PipelineError
from bgkit.layers import Layers
from bgkit.pipeline import MERGES, Pipeline, Step
from bgkit.pipelinefile import load_pipeline, read_pipeline, shipped
from bgkit.stage import stage

CHAIN = """\
bgkit: 1
description: A chain for tests.
stages:
  - luv_threshold: {tolerance: 12}
  - opening
  - make_trimap
  - closed_form_matting
  - composite: {background: white}
"""


def names(steps) -> list[str]:
    return [step.name for step in steps]


def test_reads_names_values_and_description():
    """A file becomes steps with all values filled in."""
    pipeline = read_pipeline(CHAIN)
    assert names(pipeline.steps) == ["luv_threshold", "opening", "make_trimap", "closed_form_matting", "composite"]
    assert pipeline.steps[0].values["tolerance"] == 12.0
    assert pipeline.description == "A chain for tests."


@pytest.mark.parametrize("name", shipped())
def test_dump_round_trips(name):
    """What dump() writes reads back as the same pipeline, with every value in it."""
    pipeline = load_pipeline(name)
    again = read_pipeline(pipeline.dump(), name=name)
    assert [(step.name, step.values) for step in again.steps] == [(step.name, step.values) for step in pipeline.steps]
    assert again.digest() == pipeline.digest()
    for step in pipeline.steps:
        assert all(f"{word}:" in pipeline.dump() for word in step.values)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"^f: expected a pipeline, got an empty file"),
        ("# only a comment\n", r"^f:1:1: expected a mapping with the keys bgkit and stages, got nothing"),
        ("- opening\n", r"^f:1:1: expected a mapping"),
        ("stages: [opening]\n", r"^f:1:1: expected the line 'bgkit: 1'"),
        ("bgkit: 2\nstages: [opening]\n", r"^f:1:8: bgkit: expected 1, got 2"),
        ("bgkit: 1\nstagse: [opening]\n", r"^f:2:1: stagse: no such key; did you mean 'stages'\?"),
        ("bgkit: 1\nstages: opening\n", r"^f:2:9: stages: expected a list"),
        ("bgkit: 1\nstages: []\n", r"^f:2:9: stages: expected a list of at least one"),
        ("bgkit: 1\nstages:\n  - opnening\n", r"^f:3:5: no stage named 'opnening'; did you mean 'opening'\?"),
        ("bgkit: 1\nstages:\n  - luv_threshold: {tolerance: 900}\n", r"^f:3:32: luv_threshold\.tolerance: expected 0\.\.200 dE\*uv, got 900"),
        ("bgkit: 1\nstages:\n  - luv_threshold: {tolerence: 9}\n", r"^f:3:21: luv_threshold\.tolerence: no such parameter; did you mean 'tolerance'"),
        ("bgkit: 1\nstages:\n  - luv_threshold: 12\n", r"^f:3:20: expected parameters of luv_threshold"),
        ("bgkit: 1\nstages:\n  - luv_threshold: {tolerance: 9, tolerance: 9}\n", r"^f:3:35: not valid YAML: .*duplicate key"),
        ("bgkit: 1\nbgkit: 1\nstages: [opening]\n", r"^f:2:1: not valid YAML: .*duplicate key"),
        ("bgkit: 1\nstages:\n\t- opening\n", r"^f:3:1: not valid YAML: .*tab"),
        ("bgkit: 1\nstages:\n  - luv_threshold:\n    tolerance: 9\n", r"^f:3:5: expected one stage per list item, got luv_threshold, tolerance; indent"),
        ("bgkit: 1\nstages:\n  - [opening]\n", r"^f:3:5: expected a stage's name"),
        ("bgkit: 1\nstages:\n  - {cnn_mask: {merge: no}}\n", r"^f:3:\d+: cnn_mask\.merge: expected replace or min"),
        ("bgkit: 1\nstages:\n  - luv_threshold\n  - closed_form_matting\n", r"^f:4:5: closed_form_matting: needs the layer 'trimap'.*put make_trimap"),
        ("a: *b\n", r"^f:1:4: expected a value, got \*b: anchors and aliases are not read"),
        ("\x00\x01", r"^f.*: (not valid YAML|expected a pipeline in YAML)"),
    ],
)  # fmt: skip
def test_each_mistake_has_its_place(text, message):
    """File, line, column, what was expected and the nearest known word."""
    with pytest.raises(BgkitError) as caught:
        read_pipeline(text, "f")
    assert re.search(message, str(caught.value), re.DOTALL), str(caught.value)
    assert "\n" not in str(caught.value)


def test_yaml_is_1_2():
    """``no`` is a word and ``1e-7`` is a number."""
    pipeline = read_pipeline("bgkit: 1\ndescription: no\nstages:\n  - closed_form_matting: {epsilon: 1e-7}\n")
    assert pipeline.description == "no"
    assert pipeline.steps[0].values["epsilon"] == 1e-7


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"\x89PNG\r\n\x1a\n\xff\xfe", "not text"), (b"", "empty file")],
)
def test_wrong_files(tmp_path, content, message):
    """A binary or empty file as a pipeline is one clear error."""
    path = tmp_path / "p.yaml"
    path.write_bytes(content)
    with pytest.raises(PipelineError, match=message):
        load_pipeline(path)


def test_unknown_pipeline_suggests(tmp_path):
    """A misspelt shipped name and an absent file are told apart."""
    with pytest.raises(PipelineError, match="did you mean 'studio-white'"):
        load_pipeline("studio-whte")
    with pytest.raises(PipelineError, match="cannot be read"):
        load_pipeline(tmp_path / "absent.yaml")


def test_values_from_text():
    """--set changes a value; the place of a stage that stands twice is chosen by number."""
    pipeline = read_pipeline("bgkit: 1\nstages: [luv_threshold, opening, opening]\n")
    name = next(iter(pipeline.steps[1].stage.params))
    high = pipeline.steps[1].stage.params[name].constraint.high
    changed = pipeline.with_values({"luv_threshold.tolerance": "20", f"opening#2.{name}": f"{high:g}"})
    assert changed.steps[0].values["tolerance"] == 20.0
    assert changed.steps[2].values[name] == high != changed.steps[1].values[name]
    assert pipeline.steps[0].values["tolerance"] != 20.0


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("tolerance", "3", "expected STAGE.PARAM"),
        (1, 2, "expected STAGE.PARAM"),
        ("lvu_threshold.tolerance", "3", "did you mean 'luv_threshold'"),
        ("luv_threshold.tolerance", "much", r"luv_threshold\.tolerance: expected 0\.\.200"),
        ("luv_threshold.tol", "3", "no such parameter"),
        ("opening#3.radius", "3", "stands 1 time"),
    ],
)
def test_wrong_values_from_text(key, value, message):
    """A wrong --set is refused with what was expected."""
    with pytest.raises((PipelineError, ParamError), match=message):
        read_pipeline(CHAIN).with_values({key: value})


def test_run_makes_every_layer(scene):
    """The chain runs, calls on_step after each step, and gives alpha near the truth."""
    image, truth = scene
    seen = []
    layers = read_pipeline(CHAIN).run(image, on_step=lambda step, layers, seconds: seen.append((step.name, seconds)))
    assert [name for name, _ in seen] == names(read_pipeline(CHAIN).steps)
    assert all(seconds >= 0 for _, seconds in seen)
    assert layers.given() == ("image", "mask", "trimap", "alpha", "result")
    assert np.abs(layers.alpha - truth).mean() < 0.01


def test_on_step_can_end_the_run(scene):
    """What on_step raises comes out: a deadline is three lines."""

    def stop(step, layers, seconds):
        raise TimeoutError(step.name)

    with pytest.raises(TimeoutError, match="luv_threshold"):
        read_pipeline(CHAIN).run(scene[0], on_step=stop)


def test_mask_serves_as_alpha(scene):
    """Without a matting stage the mask is the alpha, for composite and for the caller."""
    layers = read_pipeline("bgkit: 1\nstages: [luv_threshold, composite]\n").run(scene[0])
    assert (layers.alpha == layers.mask).all()


@pytest.mark.parametrize(
    ("brought", "left"),
    [
        ({"mask"}, ["opening", "make_trimap", "closed_form_matting", "composite"]),
        ({"trimap"}, ["closed_form_matting", "composite"]),
        ({"alpha"}, ["composite"]),
    ],
)
def test_plan_leaves_out_what_is_brought(brought, left):
    """A layer that is brought replaces what would have made it; refinements of it stay."""
    assert names(read_pipeline(CHAIN).plan({"image"} | brought)) == left


def test_brought_layers_are_used(scene):
    """A mask and a trimap of the user's enter the chain."""
    image, truth = scene
    layers = read_pipeline(CHAIN).run(image, trimap=np.where((truth > 0) & (truth < 1), 0.5, truth))
    assert np.abs(layers.alpha - truth).mean() < 0.01
    assert layers.mask is None


def test_useless_layer_is_an_error(scene):
    """A plate for a chain that never looks at one is told, with the stages that would."""
    with pytest.raises(PipelineError, match="plate: brought, but no stage of the pipeline"):
        read_pipeline("bgkit: 1\nstages: [luv_threshold, opening]\n").run(scene[0], plate=scene[0])


def test_own_alpha_multiplies(scene):
    """The picture's own alpha channel multiplies into the alpha that is found."""
    image, truth = scene
    own = np.ones_like(truth)
    own[:, : own.shape[1] // 2] = 0.5
    with_own = read_pipeline(CHAIN).run(np.dstack([image, own]))
    without = read_pipeline(CHAIN).run(image)
    np.testing.assert_allclose(with_own.alpha, without.alpha * own, atol=1e-6)


@pytest.mark.parametrize(
    ("merge", "value"),
    [("replace", 1.0), ("min", 0.25), ("max", 1.0), ("mean", 0.625), ("product", 0.25), ("odds", 0.997)],
)
def test_merge(merge, value):
    """Two masks meet by the reserved word."""
    pipeline = read_pipeline(
        f"bgkit: 1\nstages:\n  - opening\n  - luv_threshold: {{key: color, colors: ['#fff'], merge: {merge}}}\n"
    )
    black = np.zeros((8, 8, 3), np.float32)
    layers = pipeline.steps[1].apply(bgkit.Layers.of(black, mask=np.full((8, 8), 0.25)))
    assert layers.mask[4, 4] == pytest.approx(value, abs=1e-3)


def test_odds_of_no_opinion_and_of_contradiction():
    """Under ``odds`` 0.5 changes nothing, and two opposite certainties leave 0.5."""
    some = np.linspace(0.01, 0.99, 9, dtype=np.float32)
    half = np.full_like(some, 0.5)
    np.testing.assert_allclose(MERGES["odds"](half, some), some, atol=1e-6)
    np.testing.assert_allclose(MERGES["odds"](some, 1 - some), half, atol=1e-6)


def test_brought_layer_of_other_size(scene):
    """A mask of another size is refused before anything runs."""
    pipeline = read_pipeline("bgkit: 1\nstages:\n  - luv_threshold\n  - composite\n")
    with pytest.raises(LayerError, match=r"^mask: expected the picture's size"):
        pipeline.run(scene[0], mask=np.zeros((3, 3)))


PLUGIN = {
    "pyproject.toml": """
        [build-system]
        requires = ["setuptools"]
        build-backend = "setuptools.build_meta"
        [project]
        name = "bgkit-negative"
        version = "1"
        [project.entry-points."bgkit.stages"]
        negative = "bgkit_negative:negative"
        [tool.setuptools]
        py-modules = ["bgkit_negative"]
    """,
    "bgkit_negative.py": """
        from typing import Annotated
        from bgkit.params import Range
        from bgkit.stage import stage

        @stage(gives="mask")
        def negative(mask, *, share: Annotated[float, Range(0, 1)] = 1.0):
            "Turn the mask round."
            return (share * (1 - mask)).astype(mask.dtype)
    """,
}


def test_stages_of_other_packages(tmp_path):
    """An installed package brings a stage by its entry point, used from YAML like bgkit's own."""
    source, target = tmp_path / "source", tmp_path / "site"
    source.mkdir()
    for name, text in PLUGIN.items():
        (source / name).write_text(textwrap.dedent(text))
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--target",
        target,
        source,
    ]
    subprocess.run(install, check=True, capture_output=True)
    code = f"""
        import sys; sys.path.insert(0, {str(target)!r})
        import numpy as np
        from bgkit import stages
        from bgkit.pipelinefile import read_pipeline
        assert "negative" in stages.names()
        pipeline = read_pipeline("bgkit: 1\\nstages: [{{negative: {{share: 0.5}}}}]")
        print(pipeline.run(np.zeros((2, 2, 3)), mask=np.zeros((2, 2))).mask.tolist())
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[[0.5, 0.5], [0.5, 0.5]]"


def test_remove_takes_what_users_have(scene, tmp_path):
    """A path, bytes, a PIL image and an array give the same alpha."""
    from PIL import Image

    pixels = np.rint(scene[0] * 255).astype(np.uint8)
    path = tmp_path / "picture.png"
    Image.fromarray(pixels).save(path)
    want = bgkit.remove(pixels, "classical").alpha
    for form in (path, str(path), path.read_bytes(), Image.fromarray(pixels)):
        assert (bgkit.remove(form, "classical").alpha == want).all()
    bgkit.remove(path, "classical").save(tmp_path / "cut.png")
    with Image.open(tmp_path / "cut.png") as written:
        assert (written.size, written.mode) == ((pixels.shape[1], pixels.shape[0]), "RGBA")


def test_find_suggests():
    """A wrong stage name knows the nearest."""
    with pytest.raises(PipelineError, match="did you mean 'dense_crf'"):
        stages.find("dense_cfr")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda image: np.full(image.shape[:2], np.nan, np.float32), "expected finite values, got NaN"),
        (lambda image: np.full(image.shape[:2], 2, np.float32), r"expected values in 0\.\.1, got 2\.\.2"),
        (lambda image: np.zeros(image.shape[:2]), "expected float32 of shape .* got float64"),
        (lambda image: np.zeros((3, 3), np.float32), "expected the picture's size"),
        (lambda image: None, "expected an array, .* got NoneType"),
        (lambda image: np.ma.masked_all(image.shape[:2], np.float32), "expected an array, .* got MaskedArray"),
    ],
)
@pytest.mark.parametrize("merge", ["replace", "odds"])
def test_wrong_output_names_its_stage(given, message, merge, scene):
    """What a stage gives is checked before it meets another mask, so the message begins with the stage's name."""

    def plugin_mask(image):
        """Give what the test wants."""
        return given(image)

    info = stage(gives="mask")(plugin_mask).stage
    steps = (*read_pipeline("bgkit: 1\nstages: [luv_threshold]").steps, Step(info, info.check({"merge": merge})))
    with pytest.raises(LayerError, match=f"^plugin_mask: mask: {message}"):
        Pipeline("test", steps).run(scene[0])


def test_a_trimap_of_other_values_names_its_stage(scene):
    """A stage's trimap holds 0, 128 and 255 and nothing else."""

    def plugin_trimap(image):
        """Give labels."""
        return np.ones(image.shape[:2], np.uint8)

    info = stage(gives="trimap")(plugin_trimap).stage
    with pytest.raises(LayerError, match=r"^plugin_trimap: trimap: expected the values 0, 128 and 255, got 1"):
        Pipeline("test", (Step(info, {}),)).run(scene[0])


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("luv_threshold.tolerance", 20, "20"),
        ("luv_threshold.connected", True, "true"),
        ("luv_threshold.colors", ("white", "#00ff00"), "white,#00ff00"),
        ("luv_threshold.colors", ["white"], "white"),
        ("composite.background", "#eee", "#eee"),
    ],
)
def test_values_may_be_typed(key, value, text):
    """A number, a bool or a tuple does the same as its text."""
    pipeline = read_pipeline(CHAIN)
    assert pipeline.with_values({key: value}).digest() == pipeline.with_values({key: text}).digest()


@pytest.mark.parametrize("value", [None, "much", 900, {"a": 1}, float("nan"), True, object()])
def test_wrong_typed_values_are_refused(value):
    """With the parameter's name and what it may be."""
    with pytest.raises(ParamError, match=r"^luv_threshold\.tolerance: expected 0\.\.200"):
        read_pipeline(CHAIN).with_values({"luv_threshold.tolerance": value})


@pytest.mark.parametrize("values", [3, "x", [1], (("luv_threshold.tolerance", 3),)])
def test_values_that_are_no_mapping_are_refused(values):
    """The sentence says what is expected."""
    with pytest.raises(ParamError, match=r"values: expected a mapping as .*, got (int|str|list|tuple)"):
        read_pipeline(CHAIN).with_values(values)


def test_layers_nobody_reads_are_let_go():
    """With ``keep``, each layer goes after the last step that reads it; the wanted one and the findings are the same."""
    image = np.full((40, 50, 3), 0.95, np.float32)
    image[10:30, 15:35] = 0.2
    chain = load_pipeline("product")
    seen = {}

    def after(step, layers, seconds):
        seen[step.name] = layers.given()

    whole, kept = chain.run(image), chain.run(image, keep=["result"], on_step=after)
    np.testing.assert_array_equal(whole.result, kept.result)
    assert repr(whole.facts["findings"]) == repr(kept.facts["findings"])
    assert kept.given() == ("image", "alpha", "result")  # the checks look at alpha
    assert "mask" in seen["plate_matting"]
    assert not {"mask", "trimap"} & {*seen["levels"]}
    assert "foreground" not in seen["frame"]


def test_a_mask_that_stands_for_alpha_is_kept():
    """Where no step mattes, the mask is alpha to the end, and can be asked for as such."""
    image = np.full((20, 20, 3), 0.95, np.float32)
    image[5:15, 5:15] = 0.2
    made = load_pipeline("fast").run(image, keep=["alpha"])
    assert made.alpha is not None
    assert made.result is None


def test_trail_of_an_earlier_run():
    """With a trail, only the steps from the changed one on are run, and the result is that of a run without."""
    image = np.ones((32, 32, 3), np.float32)
    image[8:24, 8:24] = (0.8, 0.1, 0.15)
    first = load_pipeline("classical")
    second = first.with_values({"make_trimap.width": 40})
    trail = []
    first.run(image, trail=trail)
    earlier = [layers for _, layers in trail]
    made = second.run(image, trail=trail)
    same = [new is old for (_, new), old in zip(trail, earlier, strict=True)]
    place = [step.name for step in second.steps].index("make_trimap")
    assert same == [True] * place + [False] * (len(same) - place)
    np.testing.assert_array_equal(made.alpha, second.run(image).alpha)


def test_a_device_is_set_for_every_network():
    """Each stage that has a provider gets it; the others stay as they are."""
    chain = read_pipeline("bgkit: 1\nstages: [cnn_mask, dense_crf, cascade_refine, make_trimap]\n")
    moved = chain.on_device("cuda")
    assert [step.values.get("provider") for step in moved.steps] == ["cuda", None, "cuda", None]
    assert moved.with_values({"cnn_mask.provider": "cpu", "cascade_refine.provider": "cpu"}).digest() == chain.digest()


def test_a_device_without_a_network_is_refused():
    """A pipeline that runs no network would ignore it without a word."""
    with pytest.raises(PipelineError, match="'classical' runs no network, so 'cuda' has nothing to do"):
        load_pipeline("classical").on_device("cuda")
    with pytest.raises(ParamError, match=r"provider: expected cpu or cuda or .*got 'gpu'"):
        load_pipeline("auto").on_device("gpu")


def test_a_picture_that_is_changed_is_let_go_as_it_was():
    """With ``keep``, where light is evened, the picture as it came stays as 8 bits alone, for the findings."""
    picture = np.full((40, 50, 3), 230, np.uint8)
    picture[10:30, 15:35] = 51
    held = [Layers.of(picture)]
    came, gone = weakref.ref(held[0].image.base), []
    made = load_pipeline("product").run(
        held.pop(), keep=["result"], on_step=lambda step, layers, seconds: gone.append(came() is None)
    )
    assert gone[1:] == [True] * (len(gone) - 1)
    whole = load_pipeline("product").run(picture)
    assert repr(made.facts["findings"]) == repr(whole.facts["findings"])


@pytest.mark.parametrize("keep", [["result"], ["result", "image"]])
def test_a_changed_image_makes_room_for_the_picture_as_it_came(monkeypatch, keep):
    """When the checks look at the picture as it came, the evened one is gone, unless it is to be kept."""
    picture = np.full((40, 50, 3), 230, np.uint8)
    picture[10:30, 15:35] = 51
    changed, there = [], []
    measure = findings.measure

    def measuring(*given):
        there.append(changed[-1]() is not None)
        return measure(*given)

    monkeypatch.setattr(findings, "measure", measuring)
    made = load_pipeline("product").run(
        Layers.of(picture), keep=keep, on_step=lambda step, layers, seconds: changed.append(weakref.ref(layers.image))
    )
    assert there == ["image" in keep]
    whole = load_pipeline("product").run(picture)
    expected = whole.image if "image" in keep else picture / np.float32(255)
    np.testing.assert_array_equal(made.image, expected)
