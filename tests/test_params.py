"""Parameters read from a signature, checked, read from text and described."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import pytest

from bgkit.errors import ParamError
from bgkit.params import Color, Range, as_text, check_values, read_fields, read_params, table_schema


def declared(
    *,
    tolerance: Annotated[float, Range(0, 200, "dE*uv", ui=(0, 60))] = 18.0,
    count: Annotated[int, Range(1, 9)] = 3,
    connected: bool = False,
    key: Literal["border", "color"] = "border",
    colors: Annotated[tuple[str, ...], Color()] = (),
    weights: tuple[float, float] = (1.0, 2.0),
    background: Annotated[str, Color(also=("none",))] = "white",
):
    """Do nothing.

    Parameters
    ----------
    tolerance : float
        Larger takes
        more for backdrop.
    count : int
        How many.

    Returns
    -------
    None
        not a parameter
    """


PARAMS = read_params(declared)


def test_every_keyword_becomes_a_parameter():
    """The signature alone declares."""
    assert list(PARAMS) == ["tolerance", "count", "connected", "key", "colors", "weights", "background"]


def test_text_comes_from_the_docstring():
    """A text may run over lines and ends where the section ends."""
    assert PARAMS["tolerance"].doc == "Larger takes more for backdrop."
    assert PARAMS["count"].doc == "How many."


@pytest.mark.parametrize("name", list(PARAMS))
def test_default_is_accepted(name):
    """Every default passes its own check."""
    assert PARAMS[name].check(PARAMS[name].default) == PARAMS[name].default


@pytest.mark.parametrize("name", list(PARAMS))
def test_bad_values_are_refused(name):
    """Values just outside, and of other types, are refused with the parameter's name."""
    for bad in PARAMS[name].bad_values():
        with pytest.raises(ParamError, match=f"^{name}: expected"):
            PARAMS[name].check(bad)


@pytest.mark.parametrize(("name", "value"), [("tolerance", 0), ("tolerance", 200), ("count", 1), ("count", 9.0)])
def test_limits_are_included(name, value):
    """A range holds its ends; a whole float is a whole number."""
    assert PARAMS[name].check(value) == value
    assert type(PARAMS[name].check(value)) is PARAMS[name].type


@pytest.mark.parametrize("bad", [math.nan, math.inf, True, "12", None])
def test_float_is_not_guessed(bad):
    """NaN, infinity, booleans and text are no numbers."""
    with pytest.raises(ParamError):
        PARAMS["tolerance"].check(bad)


def test_message_names_range_unit_and_value():
    """The message is the one of the design."""
    with pytest.raises(ParamError, match=r"^tolerance: expected 0\.\.200 dE\*uv, got 900$"):
        PARAMS["tolerance"].check(900)


@pytest.mark.parametrize("name", list(PARAMS))
def test_text_round_trip(name):
    """What as_text writes, read takes."""
    default = PARAMS[name].default
    assert PARAMS[name].read(as_text(default)) == default


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [("connected", "yes", True), ("connected", "off", False), ("colors", "white, #f00", ("white", "#f00"))],
)
def test_text_forms(name, text, value):
    """Booleans have several words, lists are split at commas."""
    assert PARAMS[name].read(text) == value


@pytest.mark.parametrize(("name", "text"), [("count", "2.5"), ("weights", "1"), ("connected", "maybe"), ("key", "x")])
def test_wrong_text_is_refused(name, text):
    """Text that does not read as the type is an error of the parameter."""
    with pytest.raises(ParamError, match=f"^{name}: expected"):
        PARAMS[name].read(text)


def test_unknown_name_suggests_the_nearest():
    """A misspelt parameter is an error that knows the right one."""
    with pytest.raises(ParamError, match="did you mean 'tolerance'"):
        check_values(PARAMS, {"tolerence": 3})


def test_missing_values_are_the_defaults():
    """Values not given are the defaults."""
    assert check_values(PARAMS, {"count": 5})["tolerance"] == 18.0


def test_schema_carries_range_and_text():
    """The JSON Schema says what the check enforces."""
    schema = PARAMS["tolerance"].schema()
    assert (schema["minimum"], schema["maximum"], schema["default"]) == (0, 200, 18.0)
    assert PARAMS["colors"].schema()["items"]["type"] == "string"
    assert PARAMS["key"].schema()["enum"] == ["border", "color"]


@dataclass(frozen=True, kw_only=True)
class Leg:
    """A leg.

    Parameters
    ----------
    length : float
        How long.
    """

    length: Annotated[float, Range(0, 3, "m")]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of a file, with every kind of field."""

    names: tuple[str, ...]
    height: Annotated[int, Range(1, 9)] | None = None
    size: Annotated[int | tuple[int, int], Range(1, 9)] = 3
    allowed: bool | Literal["unclear"] = "unclear"
    leg: Leg | None = None
    legs: tuple[Leg, ...] = ()


def read_table(**values):
    return Table(**check_values(read_fields(Table), values, "field"))


def test_fields_of_a_table_are_read():
    """A field may be absent, of several types, a table, or a list of tables."""
    table = read_table(names=["a"], size=[2, 3], allowed=True, leg={"length": 1}, legs=[{"length": 2}])
    assert table == Table(names=("a",), size=(2, 3), allowed=True, leg=Leg(length=1.0), legs=(Leg(length=2.0),))
    assert read_table(names="a").height is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "names: expected a list of text, at least one, got nothing; add the field"),
        ({"names": []}, "names: expected a list of text, at least one, got []"),
        ({"names": "a", "height": None}, "height: expected a whole number in 1..9, got None"),
        ({"names": "a", "height": 10}, "height: expected a whole number in 1..9, got 10"),
        ({"names": "a", "size": [2, 10]}, "size: expected a whole number in 1..9 or 2 values, each a whole number in"),
        ({"names": "a", "allowed": "no"}, "allowed: expected true or false or unclear, got 'no'"),
        ({"names": "a", "leg": 3}, "leg: expected a table, got 3"),
        ({"names": "a", "leg": {}}, "leg.length: expected 0..3 m, got nothing; add the field"),
        ({"names": "a", "leg": {"lenght": 1}}, "leg.lenght: no such field; did you mean 'length'?"),
        ({"names": "a", "legs": [{"length": 4}]}, "legs.length: expected 0..3 m, got 4"),
        ({"names": "a", "legs": [3]}, "legs: expected a list of tables, got [3]"),
    ],
)
def test_wrong_fields_of_a_table(values, message):
    """What is wrong within a table carries the names of the tables around it."""
    with pytest.raises(ParamError) as caught:
        read_table(**values)
    assert str(caught.value).startswith(message)


def test_schema_of_a_table():
    """Required fields, tables within tables and several types are in the JSON Schema."""
    schema = table_schema(Table)
    assert schema["required"] == ["names"]
    assert schema["properties"]["names"]["minItems"] == 1
    assert "default" not in schema["properties"]["height"]
    assert [kind["type"] for kind in schema["properties"]["size"]["anyOf"]] == ["integer", "array"]
    assert schema["properties"]["legs"]["items"] == table_schema(Leg)


def test_parameters_of_a_stage_are_not_tables_nor_of_several_types():
    """What only a file can hold is refused where it is declared, for neither a form nor --set could give it."""

    def mixed(*, size: int | tuple[int, int] = 3): ...

    with pytest.raises(TypeError, match=r"mixed\.size: a parameter is a number, text, a choice, or a tuple of one"):
        read_params(mixed)


def test_numbers_of_numpy_are_numbers():
    """A sweep over ``np.linspace`` in float32, or a bool from an array, is a value like any other."""
    checked = [
        PARAMS["tolerance"].check(np.float32(3)),
        PARAMS["count"].check(np.int16(4)),
        PARAMS["connected"].check(np.True_),
        PARAMS["weights"].check((np.float16(0.5), 2)),
    ]
    assert checked == [3.0, 4, True, (0.5, 2.0)]
    assert [type(each) for each in checked[:3]] == [float, int, bool]
    for name, value in (("tolerance", np.True_), ("count", np.float32(2.5)), ("tolerance", np.float32("nan"))):
        with pytest.raises(ParamError):
            PARAMS[name].check(value)
