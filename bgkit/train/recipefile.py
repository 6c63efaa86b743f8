"""Recipe files: YAML to a checked :class:`~bgkit.train.recipe.Recipe`, and back.

    bgkit: 1
    network: unet
    epochs: 40
    sizes: [128, 224]
    data: {folder: pictures}
    optimizer: {kind: rmsprop, learning_rate: 1e-3}

What is not named has its default. Everything is checked before the first picture is read, and every message carries
file, line and column.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import torch

from bgkit.errors import BgkitError, RecipeError, brief, cut, did_you_mean
from bgkit.evaluate.datasets import LAYOUTS
from bgkit.params import Param, as_text, check_values, name_with_values, read_params, schema_in_files
from bgkit.train.networks import NETWORKS, build, made_by
from bgkit.train.recipe import EMBEDDED, IMAGENET, SECTIONS, Course, Recipe
from bgkit.yamlfile import Node, dump, load, parse

__all__ = ["differences", "dump_recipe", "load_recipe", "read_recipe", "recipe_schema", "shipped_recipes"]

FORMAT = 1
FOLDER = Path(__file__).parent / "recipes"
ELSEWHERE = (
    "threads",
    "device",
    "data.folder",
    "data.grounds",
    "data.teacher",
)  # may differ between the parts of one run


def shipped_recipes() -> list[str]:
    """Return the names of the recipes that come with bgkit."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_recipe(source: str | Path, values: Mapping[str, str] | None = None) -> Recipe:
    """Load a recipe and check it.

    Parameters
    ----------
    source : str or path
        A YAML file, or the name of a shipped recipe. Paths in a file are relative to it; those of a shipped recipe, to
        the current folder.
    values : mapping, optional
        Values to change, as text: ``{"optimizer.learning_rate": "1e-3", "epochs": "5"}``.

    Raises
    ------
    RecipeError
        With file, line and column, what was expected and what was given.
    """
    path = Path(source)
    if str(source) in shipped_recipes():
        path = FOLDER / f"{source}.yaml"
    elif path.suffix not in (".yaml", ".yml") and not path.is_file():
        known = shipped_recipes()
        hint = did_you_mean(str(source), known)
        raise RecipeError(
            f"no recipe named {brief(str(source))}{hint} (shipped: {', '.join(known)}; or give a .yaml file)"
        )
    folder = None if path.parent == FOLDER else path.parent
    recipe = _read(load(path, "a recipe", RecipeError), folder)
    return _with_values(recipe, values or {})


def read_recipe(text: str, file: str = "recipe", folder: Path | None = None) -> Recipe:
    """Read a recipe from YAML text; ``file`` is what messages call it, ``folder`` what its paths are relative to."""
    return _read(parse(text, file, "a recipe", RecipeError), folder)


def _read(root: Node, folder: Path | None) -> Recipe:
    root.expect_mapping("a mapping with the keys bgkit, network, data, ...")
    course = read_params(Course)
    sections_of = {key: name for name, kind in SECTIONS.items() for key in read_params(kind)}
    for key in root.value:
        if key in sections_of and key not in course:
            section = sections_of[key]
            raise RecipeError(f"{root.key_place(key)}: {key}: belongs into {section}, as in {section}: {{{key}: ...}}")
    root.expect_keys(("bgkit", "description", "network", *course, *SECTIONS))
    root.expect_version(FORMAT)
    description = root.expect_text("description")
    network, options = _read_network(root)
    top = {key: value for key, value in root.value.items() if key in course}
    sections: dict[str, Any] = {"course": Course(**_checked(course, top, root, ""))}
    for name, kind in SECTIONS.items():
        if root.value.get(name) is None:
            continue
        node = root.child(name, "")
        node.expect_mapping(f"the keys of {name}, as in {name}: {{key: value}}")
        sections[name] = kind(**_checked(read_params(kind), node.value, node, f"{name}."))
    recipe = Recipe(description=description, network=network, options=options, **sections)
    try:
        _check_together(recipe)
    except RecipeError as error:
        raise error.at(root.file) from None
    return _from(recipe, folder)


def _from(recipe: Recipe, folder: Path | None) -> Recipe:
    """Make the paths of a recipe absolute, ``~`` being the home."""

    def absolute(text: str) -> str:
        return str((folder or Path()).joinpath(Path(text).expanduser()).absolute()) if text else ""

    places = {name: absolute(getattr(recipe.data, name)) for name in ("folder", "grounds", "teacher")}
    data = replace(recipe.data, **places)
    start = tuple(each if each in (EMBEDDED, IMAGENET) else absolute(each) for each in recipe.course.start if each)
    return replace(recipe, data=data, course=replace(recipe.course, start=start))


def _checked(params: Mapping[str, Param], values: Mapping[str, Any], node: Node, prefix: str) -> dict[str, Any]:
    """Check one value at a time, so that a message can name its line."""
    for name, value in values.items():
        try:
            check_values(params, {name: value})
        except BgkitError as error:
            place = node.child(name, "").place if name in params else node.key_place(name)
            raise RecipeError(f"{place}: {prefix}{error}") from None
    return check_values(params, values)


def _read_network(root: Node) -> tuple[str, dict[str, Any]]:
    """Return a network's name and options, both known."""
    if "network" not in root.value:
        return Recipe().network, {}
    node = root.child("network", "")
    name, options, place = node.value, {}, node.place
    if isinstance(name, dict):
        if len(name) != 1:
            raise RecipeError(f"{node.place}: network: expected one name, as in network: {{unet: {{width: 32}}}}")
        (name,) = node.value
        place, inner = node.key_place(name), node.child(name, "options")
        if inner.value is not None:
            inner.expect_mapping(f"options of {name}, as in {name}: {{option: value}}")
            options = {key: _plain(value) for key, value in inner.value.items()}
    try:
        check_network(name, options)
    except RecipeError as error:
        raise error.at(place) from None
    return name, options


def check_network(name: Any, options: Mapping[str, Any]) -> None:
    """Refuse a name or an option that no architecture has; the network is built once, without memory."""
    if not isinstance(name, str) or name not in NETWORKS:
        hint = did_you_mean(str(name), NETWORKS)
        raise RecipeError(f"network: expected one of {', '.join(sorted(NETWORKS))}, got {brief(name)}{hint}")
    known = [each for each in inspect.signature(made_by(name)).parameters if each != "self"]
    for option in options:
        if option not in known:
            has = f"there are: {', '.join(known)}" if known else "it has none"
            raise RecipeError(f"network.{cut(option)}: {name} has no such option{did_you_mean(option, known)} ({has})")
    hints = get_type_hints(made_by(name).__init__)  # type: ignore[misc]
    for option, value in options.items():
        choices = get_args(hints[option]) if get_origin(hints[option]) is Literal else ()
        if choices and value not in choices:
            raise RecipeError(f"network.{option}: expected one of {', '.join(map(str, choices))}, got {brief(value)}")
    try:
        with torch.device("meta"):
            build(name, **options)
    except (TypeError, ValueError, KeyError, IndexError, RuntimeError) as error:
        shown = ", ".join(f"{key}: {brief(value)}" for key, value in options.items())
        raise RecipeError(f"network: {name} cannot be built with {shown or 'its defaults'}: {error}") from None


def _plain(value: Any) -> Any:
    """Return a YAML value with lists as tuples."""
    if isinstance(value, list):
        return tuple(_plain(item) for item in value)
    return value


def _check_together(recipe: Recipe) -> None:
    """Refuse values that are right alone and wrong together."""
    multiple = NETWORKS[recipe.network].multiple
    wrong = [size for size in recipe.course.sizes if size % multiple]
    if wrong or not recipe.course.sizes:
        raise RecipeError(f"sizes: {recipe.network} expects multiples of {multiple}, got {wrong or 'none'}")
    if NETWORKS[recipe.network].activation == "none" and not recipe.loss.own:
        raise RecipeError(
            f"loss.own: {recipe.network} answers with the opacity itself and trains with its paper's loss"
        )
    if NETWORKS[recipe.network].learns == "tags" and not recipe.loss.own:
        raise RecipeError(f"loss.own: {recipe.network} learns from tags and trains with its paper's loss")
    if recipe.split.validation + recipe.split.test >= 100:
        raise RecipeError("split: validation and test together leave nothing to train on")
    own = hasattr(made_by(recipe.network), "loss") and recipe.loss.own
    if not own and recipe.loss.cross_entropy + recipe.loss.iou + recipe.loss.ssim + recipe.loss.boundary == 0:
        raise RecipeError("loss: expected at least one of cross_entropy, iou, ssim and boundary above 0")
    chances = recipe.augmentation
    if chances.paste + chances.mix + chances.close + chances.empty + chances.vacant > 1:
        raise RecipeError("augmentation: paste, mix, close, empty and vacant together are more than all of the samples")
    if recipe.data.layout not in ("auto", "shards", "coco", *LAYOUTS):
        known = ("auto", "pairs", "shards", "coco", *LAYOUTS)
        hint = did_you_mean(recipe.data.layout, known)
        raise RecipeError(f"data.layout: expected one of {', '.join(known[:4])}, ..., got {recipe.data.layout!r}{hint}")
    for name, pair in (("count", recipe.data.count), ("area", recipe.data.area)):
        if pair[0] > pair[1]:
            raise RecipeError(f"data.{name}: expected the smaller number first, got {as_text(pair)}")


def _with_values(recipe: Recipe, texts: Mapping[str, str]) -> Recipe:
    """Return a recipe with values changed, given as text."""
    for key, text in texts.items():
        section, dot, word = key.rpartition(".")
        if key == "network":
            recipe = replace(recipe, network=text, options={})
        elif section == "network":
            value = parse(text, key, "a value", RecipeError).value
            recipe = replace(recipe, options={**recipe.options, word: _plain(value)})
        elif section.startswith("network."):
            raise RecipeError(f"{key}: expected network.OPTION, as network.{word}, for the network is named elsewhere")
        elif (dot and section not in SECTIONS) or not key:
            raise RecipeError(f"{key}: expected SECTION.KEY{did_you_mean(section, SECTIONS)}")
        else:
            place = section or "course"
            params = read_params(SECTIONS.get(section, Course))
            try:
                checked = check_values(params, {})  # the names that there are, in a message
                if word not in checked:
                    check_values(params, {word: text})
                value = params[word].read(text)
            except BgkitError as error:
                raise RecipeError(f"{section}{dot}{error}") from None
            recipe = replace(recipe, **{place: replace(getattr(recipe, place), **{word: value})})
    check_network(recipe.network, recipe.options)
    _check_together(recipe)
    return _from(recipe, None)


def dump_recipe(recipe: Recipe) -> str:
    """Return the recipe as YAML with every value written out, so that it outlives changed defaults."""
    values = asdict(recipe)
    network = {recipe.network: values["options"]} if recipe.options else recipe.network
    document = {"bgkit": FORMAT, "description": recipe.description, "network": network, **values["course"]}
    document |= {name: values[name] for name in SECTIONS}
    return dump(_listed(document))


def _listed(value: Any) -> Any:
    """Return tuples as lists, which is what YAML has."""
    if isinstance(value, Mapping):
        return {key: _listed(item) for key, item in value.items()}
    return [_listed(item) for item in value] if isinstance(value, (tuple, list)) else value


def recipe_schema() -> dict[str, Any]:
    """Return the JSON Schema of recipe files, with which editors complete and check them.

    A network's options are checked by name; whether it can be built with their values, only building it shows.
    """
    networks = {
        name: {
            "type": ["object", "null"],
            "description": f"{entry.paper}.",
            "properties": {each: {} for each in inspect.signature(made_by(name)).parameters if each != "self"},
            "additionalProperties": False,
        }
        for name, entry in NETWORKS.items()
    }
    network = name_with_values("An architecture's name, or one name with its options.", networks)
    sections = {
        name: {
            "type": ["object", "null"],
            "description": (inspect.getdoc(kind) or "").partition("\n")[0],
            "properties": _schemas(kind),
            "additionalProperties": False,
        }
        for name, kind in SECTIONS.items()
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "bgkit training recipe",
        "type": "object",
        "properties": {
            "bgkit": {"const": FORMAT, "description": "The version of the format."},
            "description": {"type": "string", "description": "What the recipe is for."},
            "network": network,
            **_schemas(Course),
            **sections,
        },
        "required": ["bgkit"],
        "additionalProperties": False,
    }


def _schemas(kind: Any) -> dict[str, Any]:
    """Return the JSON Schemas of a section's keys."""
    return {name: schema_in_files(param.schema()) for name, param in read_params(kind).items()}


def differences(old: Recipe, new: Recipe) -> list[str]:
    """Say what decides the outcome and is not the same: ``["epochs: 5, now 8"]``."""
    before, after = _flat(old), _flat(new)
    names = [name for name in {**before, **after} if name not in ELSEWHERE and before.get(name) != after.get(name)]
    return [f"{name}: {before.get(name, 'not set')}, now {after.get(name, 'not set')}" for name in names]


def _flat(recipe: Recipe) -> dict[str, str]:
    flat = {"network": recipe.network} | {f"network.{key}": str(value) for key, value in recipe.options.items()}
    for section in ("course", *SECTIONS):
        prefix = "" if section == "course" else f"{section}."
        values = asdict(getattr(recipe, section))
        flat |= {prefix + key: as_text(value) for key, value in values.items()}
    return flat
