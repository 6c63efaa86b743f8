"""Recipes: checked like a pipeline file before anything starts, written out in full, and read again as they were."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="training needs bgkit[train]")

from bgkit.errors import RecipeError
from bgkit.params import read_params
from bgkit.train.optimizing import rate
from bgkit.train.recipe import SECTIONS, Course, Recipe, Schedule
from bgkit.train.recipefile import (
    differences,
    dump_recipe,
    load_recipe,
    read_recipe,
    shipped_recipes,
)


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_are_right_and_survive_a_dump(name):
    """Each is read, and written out in full it is the same recipe."""
    recipe = load_recipe(name)
    assert recipe.description
    again = read_recipe(dump_recipe(recipe))
    assert differences(recipe, again) == []
    assert again == recipe


def test_the_sources_person_recipe_is_shipped():
    """COCO, one or two persons on 20 to 70 %, 70/20/10, RMSProp 1e-3 with slight decay, cross entropy, 224."""
    person = load_recipe("person")
    assert (person.data.layout, person.data.count, person.data.area) == ("coco", (1, 2), (20, 70))
    assert (person.split.validation, person.split.test) == (20, 10)
    assert (person.optimizer.kind, person.optimizer.learning_rate) == ("rmsprop", 1e-3)
    assert person.schedule.kind == "exponential" and 0.98 < person.schedule.decay < 1
    assert (person.loss.cross_entropy, person.loss.iou, person.loss.ssim) == (1, 0, 0)
    assert person.course.sizes == (224,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("bgkit: 2", r"r.yaml:1:8: bgkit: expected 1, got 2"),
        ("epochs: 3", r"r.yaml:1:1: expected the line 'bgkit: 1'"),
        ("bgkit: 1\nepoch: 3", r"r.yaml:2:1: epoch: no such key; did you mean 'epochs'\?"),
        ("bgkit: 1\nepochs: 0", r"r.yaml:2:9: epochs: expected a whole number in 1..100000 epochs, got 0"),
        ("bgkit: 1\nepochs: 3\nepochs: 4", r"r.yaml:3:1: not valid YAML: found duplicate key"),
        ("bgkit: 1\nnetwork: coars", r"r.yaml:2:10: network: .* got 'coars'; did you mean 'coarse'\?"),
        ("bgkit: 1\nnetwork: {coarse: {width: 3}}", r"r.yaml:2:11: network.width: .* did you mean 'widths'\?"),
        ("bgkit: 1\nnetwork: {coarse: {widths: 3}}", r"r.yaml:2:11: network: coarse cannot be built with widths: 3"),
        ("bgkit: 1\nnetwork: {coarse: {}, unet: {}}", r"r.yaml:2:10: network: expected one name"),
        ("bgkit: 1\nloss:\n  iuo: 3", r"r.yaml:3:3: loss.iuo: no such parameter; did you mean 'iou'\?"),
        ("bgkit: 1\noptimizer: {kind: adam}", r"r.yaml:2:19: optimizer.kind: expected adamw or rmsprop"),
        ("bgkit: 1\noptimizer: {learning_rate: 20}", r"r.yaml:2:28: optimizer.learning_rate: expected 1e-08..10"),
        ("bgkit: 1\naugmentation: {paste: 2}", r"r.yaml:2:23: augmentation.paste: expected 0..1 of the samples, got 2"),
        (
            "bgkit: 1\naugmentation: {paste: 0.9, empty: 0.2}",
            r"r.yaml: augmentation: paste, mix, close, empty and vacant",
        ),
        ("bgkit: 1\nsizes: [100]", r"r.yaml: sizes: coarse expects multiples of 32, got \[100\]"),
        ("bgkit: 1\nsplit: {validation: 60, test: 40}", r"r.yaml: split: .* nothing to train on"),
        ("bgkit: 1\nloss: {cross_entropy: 0, iou: 0}", r"r.yaml: loss: expected at least one"),
        ("bgkit: 1\ndata: {layout: coca}", r"r.yaml: data.layout: .* did you mean 'coco'\?"),
        ("bgkit: 1\ndata: {area: [70, 20]}", r"r.yaml: data.area: expected the smaller number first"),
        ("bgkit: 1\ndata: pictures", r"r.yaml:2:7: expected the keys of data, .* got 'pictures'"),
        ("bgkit: 1\ndescription: 3", r"r.yaml:2:1: description: expected text, got 3"),
        ("", r"r.yaml: expected a recipe, got an empty file"),
        ("bgkit: 1\nlearning_rate: 1", r"r.yaml:2:1: learning_rate: belongs into optimizer, as in optimizer: {lea"),
        ("bgkit: 1\nnetwork: {modnet: {context: see}}", r"r.yaml:2:11: network.context: expected one of e-aspp, se"),
    ],
)
def test_mistakes_are_told_with_their_place(text, said):
    """Line, column, what was expected and what was given."""
    with pytest.raises(RecipeError, match=f"^{said}"):
        read_recipe(text, "r.yaml")


def test_values_are_changed_by_text():
    """--set reaches every section, and is checked as the file is."""
    recipe = load_recipe(
        "small", {"epochs": "3", "optimizer.kind": "muon", "sizes": "64,96", "network.blocks": "[0,1,1,1,1]"}
    )
    assert (recipe.course.epochs, recipe.optimizer.kind, recipe.course.sizes) == (3, "muon", (64, 96))
    assert recipe.options == {"blocks": (0, 1, 1, 1, 1)}
    with pytest.raises(RecipeError, match=r"optimizer.rate: no such parameter"):
        load_recipe("small", {"optimizer.rate": "3"})
    with pytest.raises(RecipeError, match=r"network.unet.width: expected network.OPTION, as network.width"):
        load_recipe("small", {"network.unet.width": "16"})
    with pytest.raises(RecipeError, match=r"optimiser.kind: expected SECTION.KEY; did you mean 'optimizer'\?"):
        load_recipe("small", {"optimiser.kind": "sgd"})
    with pytest.raises(RecipeError, match=r"no recipe named 'smal'; did you mean 'small'\?"):
        load_recipe("smal")


def test_paths_are_relative_to_the_file(tmp_path):
    """A recipe finds its pictures from wherever it is called."""
    (tmp_path / "r.yaml").write_text("bgkit: 1\ndata: {folder: pictures}\n")
    assert load_recipe(tmp_path / "r.yaml").data.folder == str(tmp_path / "pictures")


def test_paths_of_a_shipped_recipe_are_relative_to_the_current_folder(tmp_path, monkeypatch):
    """The second part of the embedded network's training finds what the first one left."""
    monkeypatch.chdir(tmp_path)
    assert load_recipe("embedded-onward").course.start == (str(tmp_path / "runs" / "embedded" / "best.pt"),)


def test_warmup_takes_no_more_than_a_tenth_of_a_run():
    """A run of few steps leaves it, too."""
    assert rate(Schedule(warmup=100), step=1, steps=20, per_epoch=10) > 0.9


def test_every_key_says_what_it_does():
    """Each field of each section has a text."""
    assert not [
        param.name for kind in (Course, *SECTIONS.values()) for param in read_params(kind).values() if not param.doc
    ]


def test_differences_name_what_decides_and_nothing_else():
    """Threads, device and where the folder lies may change in the middle of a run."""
    assert differences(Recipe(), load_recipe_of("threads: 3\ndata: {folder: /elsewhere}")) == []
    assert differences(Recipe(), load_recipe_of("epochs: 8")) == ["epochs: 30, now 8"]
    assert differences(Recipe(), load_recipe_of("optimizer: {kind: sgd}")) == ["optimizer.kind: adamw, now sgd"]


def load_recipe_of(text: str) -> Recipe:
    return read_recipe(f"bgkit: 1\n{text}\n")
