"""JSON Schemas of pipelines, recipes and cards: shipped, named in the files, and of one mind with the parsers."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import jsonschema
import pytest
import test_models_card
import test_pipeline
from conftest import ROOT

from bgkit import stages
from bgkit.errors import BgkitError, ModelError, PipelineError
from bgkit.models.card import card_schema, parse_card
from bgkit.pipelinefile import pipeline_schema, read_pipeline
from bgkit.yamlfile import parse

SHIPPED = ROOT / "bgkit" / "schemas"
VALIDATORS = {
    kind: jsonschema.Draft202012Validator(json.loads((SHIPPED / f"{kind}.json").read_text()))
    for kind in ("pipeline", "recipe", "card")
}

# What a schema cannot say, by a piece of the parser's message: it takes more than one value, or a file, or is no JSON.
BEYOND = {
    "pipeline": ("needs the layer",),
    "recipe": (
        "cannot be built",
        "paste, mix, close, empty and vacant",
        "multiples of",
        "nothing to train on",
        "loss: expected at least one",
        "data.layout",
        "smaller number first",
        "network.context",
    ),
    "card": (
        "file.sha256: expected a checksum beside the url",
        "expected one of size, short_side and long_side",
        "input.fit: expected a fixed",
        "nan",
        "input.trimap: expected only layers",
        "input.closer: expected a network",
        "input.tensors: expected one that holds",
        "either a name or an index",
        "output.classes: expected the class numbers",
    ),
}


def said(kind: str, values: object) -> list[str]:
    """What the schema has against values."""
    return [
        f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in VALIDATORS[kind].iter_errors(values)
    ]


def mistakes(test) -> list[tuple[str, str]]:
    """The texts and messages that a test of the parser is parametrized with."""
    return [each[:2] for each in test.pytestmark[0].args[1]]


def values_of(text: str) -> object:
    """The values of a YAML text; skip what is no YAML of ours, of which no schema can speak."""
    try:
        return parse(text, "f", "a file", PipelineError).value
    except BgkitError as error:
        pytest.skip(f"no file of values: {error}")


@pytest.mark.parametrize(("kind", "made"), [("pipeline", pipeline_schema(stages.shipped())), ("card", card_schema())])
def test_shipped_schemas_are_current(kind, made):
    """`python docs/schemas.py` makes them anew; stages of other packages are in none of them."""
    assert json.loads((SHIPPED / f"{kind}.json").read_text()) == json.loads(json.dumps(made))


def test_shipped_schema_of_recipes_is_current():
    """`python docs/schemas.py` makes it anew."""
    pytest.importorskip("torch", reason="recipes name networks, which need bgkit[train]")
    from bgkit.train.recipefile import recipe_schema

    assert json.loads((SHIPPED / "recipe.json").read_text()) == json.loads(json.dumps(recipe_schema()))


@pytest.mark.parametrize("kind", VALIDATORS)
def test_schemas_are_schemas(kind):
    """Each keeps to draft 2020-12."""
    jsonschema.Draft202012Validator.check_schema(VALIDATORS[kind].schema)


@pytest.mark.parametrize("kind", ["pipeline", "card"])
def test_patterns_are_read_by_other_engines(kind):
    """They name no surrogates, for which taplo refuses the whole schema: no file in UTF-8 can hold one."""
    text = (SHIPPED / f"{kind}.json").read_text()
    assert '"pattern"' in text
    assert not re.search(r"\\u[dD][89a-fA-F]", text)


FILES = [
    *(("pipeline", path) for path in sorted((ROOT / "bgkit" / "pipelines").glob("*.yaml"))),
    *(("recipe", path) for path in sorted((ROOT / "bgkit" / "train" / "recipes").glob("*.yaml"))),
    *(("card", path) for path in sorted((ROOT / "bgkit" / "models" / "cards").glob("*.toml"))),
]


@pytest.mark.parametrize(("kind", "path"), FILES, ids=lambda each: getattr(each, "stem", each))
def test_shipped_files_name_their_schema_and_keep_to_it(kind, path):
    """The first line leads to the schema, from the file; the schema has nothing against the file."""
    text = path.read_text("utf-8")
    pattern = r"#:schema (\S+)" if path.suffix == ".toml" else r"# yaml-language-server: \$schema=(\S+)"
    named = re.match(pattern, text)
    assert named and (path.parent / named.group(1)).resolve() == SHIPPED / f"{kind}.json"
    assert said(kind, tomllib.loads(text) if path.suffix == ".toml" else values_of(text)) == []


@pytest.mark.parametrize(("text", "message"), mistakes(test_pipeline.test_each_mistake_has_its_place))
def test_schema_sees_what_the_pipeline_parser_sees(text, message):
    """Each wrong pipeline of the suite is wrong to the schema, or wrong in a way that no schema can say."""
    assert bool(said("pipeline", values_of(text))) != any(each in message for each in BEYOND["pipeline"])


def test_schema_sees_what_the_recipe_parser_sees():
    """Each wrong recipe of the suite is wrong to the schema, or wrong in a way that no schema can say."""
    pytest.importorskip("torch", reason="the recipes of the suite need bgkit[train]")
    import test_train_recipe

    for text, message in mistakes(test_train_recipe.test_mistakes_are_told_with_their_place):
        try:
            values = parse(text, "f", "a recipe", PipelineError).value
        except BgkitError:
            continue
        assert bool(said("recipe", values)) != any(each in message for each in BEYOND["recipe"]), text


@pytest.mark.parametrize(("old", "new", "message"), test_models_card.WRONG)
def test_schema_sees_what_the_card_parser_sees(old, new, message):
    """Each wrong card of the suite is wrong to the schema, or wrong in a way that no schema can say."""
    text = test_models_card.GOOD.replace(old, new)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        pytest.skip(f"no TOML: {error}")
    with pytest.raises(ModelError):
        parse_card(text, "net.toml")
    assert bool(said("card", values)) != any(each in message + new for each in BEYOND["card"])


def test_a_good_card_is_good_to_the_schema():
    """The card that uses every field."""
    assert said("card", tomllib.loads(test_models_card.GOOD)) == []


@pytest.mark.parametrize("name", stages.shipped())
def test_each_bad_value_is_bad_to_the_schema(name):
    """What a parameter refuses, its schema refuses, files and networks apart; both take the default."""
    for word, param in stages.find(name).settings.items():
        if word == "model":
            continue
        for bad in [param.default, *param.bad_values()]:
            try:
                text = json.dumps(bad, allow_nan=False)
            except (TypeError, ValueError):
                continue
            step = {name: {word: json.loads(text)}}
            fine = not said("pipeline", {"bgkit": 1, "stages": [step]})
            files = getattr(param.constraint, "files", False) and isinstance(bad, str)
            assert fine == (bad == param.default and type(bad) is type(param.default)) or files, (word, bad)


@pytest.mark.parametrize(
    ("kind", "values", "words"),
    [
        ("pipeline", {"bgkit": 1, "stages": [{"luv_threshold": {"tolerence": 9}}]}, "stages.0.luv_threshold: .*'tolerence' was unexpected"),
        ("pipeline", {"bgkit": 1, "stages": [{"luv_treshold": {}}]}, "stages.0: .*'luv_treshold' was unexpected"),
        ("pipeline", {"bgkit": 1, "stages": [{"luv_threshold": {"tolerance": 900}}]}, "stages.0.luv_threshold.tolerance: 900 is greater than the maximum of 200"),
        ("pipeline", {"bgkit": 1, "stages": [{"luv_threshold": {"colors": ["white", "#12"]}}]}, "stages.0.luv_threshold.colors.1: '#12' does not match"),
        ("recipe", {"bgkit": 1, "loss": {"iuo": 3}}, "loss: .*'iuo' was unexpected"),
        ("recipe", {"bgkit": 1, "network": {"coarse": {"width": 3}}}, "network.coarse: .*'width' was unexpected"),
    ],
)  # fmt: skip
def test_a_mistake_is_reported_as_what_it_is(kind, values, words):
    """One error with its place, not "not valid under any of the given schemas"."""
    (only,) = said(kind, values)
    assert re.match(words, only), only


@pytest.mark.parametrize("colors", ["red", ["red", "#fff"], "RED"])
def test_schema_takes_what_the_parser_takes(colors):
    """One value may stand for a list of one, and a color's name may be written large."""
    chain = {"bgkit": 1, "stages": [{"luv_threshold": {"key": "color", "colors": colors}}]}
    assert read_pipeline(json.dumps(chain)) and said("pipeline", chain) == []


def test_package_data_holds_the_schemas():
    """A wheel brings what ``bgkit schema recipe`` prints."""
    text = (Path(ROOT) / "pyproject.toml").read_text()
    assert "schemas/*.json" in tomllib.loads(text)["tool"]["setuptools"]["package-data"]["bgkit"]
