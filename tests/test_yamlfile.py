"""YAML of hostile or careless hands: each is refused with its place, in a short line, or means one thing."""

from __future__ import annotations

import os

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bgkit.errors import PipelineError
from bgkit.yamlfile import DEPTH, dump, load, parse


def read(text: str):
    return parse(text, "f", "a pipeline", PipelineError).value


LAUGHS = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS, r"^f:1:4: expected a value, got &a: anchors and aliases are not read"),
        ("a: *b\n", r"^f:1:4: expected a value, got \*b: anchors"),
        ("a: &b 1\n", r"^f:1:4: expected a value, got &b: anchors"),
        ("<<: {a: 1}\n", r"^f:1:1: expected a plain word as a key; merge keys"),
        ("a: !!int abc\n", r"^f:1:4: expected a value, got the tag tag:yaml.org,2002:int: tags are not read"),
        ("a: !!python/object:os.system x\n", r"^f:1:4: .* tags are not read"),
        ("!!set {a, b}\n", r"^f:1:1: .* tags are not read"),
        ("[" * 2000 + "]" * 2000, rf"^f:1:{DEPTH + 1}: expected lists and mappings nested up to {DEPTH}"),
        ("\n".join(" " * n + "a:" for n in range(200)), rf"^f:{DEPTH + 1}:{DEPTH + 1}: expected lists and mappings"),
        ("a: " + "9" * 1000, r"^f:1:4: expected a number of at most 100 digits, got 1000"),
        ("a: 0." + "9" * 1000, r"^f:1:4: expected a number of at most 100 digits"),
        ("[a]: 1\n", r"^f:1:1: expected a word as a key, got a list"),
        ("? {a: 1}\n: 2\n", r"^f:1:3: expected a word as a key"),
        ("a: 1\n---\nb: 2\n", r"^f:2:1: expected one document, got a second one"),
        ('a: "\\ud800"\n', r"^f:1:4: expected text, got the character '\\ud800'"),
        ('a: "\\e[31m"\n', r"^f:1:4: expected text, got the character '\\x1b'"),
        ('a: "\\UFFFFFFFF"\n', r"^f: not valid YAML"),
        ("%YAML " + "9" * 5000 + ".1\n---\na: 1\n", r"^f: not valid YAML"),
    ],
    ids=lambda value: repr(value[:24]),
)  # fmt: skip
def test_what_has_no_place_in_a_file_of_settings(text, message):
    """Refused where it stands, in one short line."""
    with pytest.raises(PipelineError, match=message) as caught:
        read(text)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("true", True), ("False", False), ("~", None), ("null", None), ("''", ""), ("012", 12),
        ("0o17", 15), ("0x1F", 31), ("-3", -3), ("1e3", 1000.0), (".5", 0.5), ("1.", 1.0), ("-.inf", float("-inf")),
        ("1_000", "1_000"), ("2020-99-99", "2020-99-99"), ("'1'", "1"), ("12:30:00", "12:30:00"), ("0b1", "0b1"),
        ("=", "="), ("on", "on"),
        ("[1, a, {b: [2]}]", [1, "a", {"b": [2]}]), ("{1: a, true: b}", {"1": "a", "true": "b"}),
        ("1e999", float("inf")),
    ],
)  # fmt: skip
def test_the_core_schema(text, value):
    """Values are those of YAML 1.2's core schema (10.3.2); keys are text."""
    found = read(f"a: {text}\n")["a"]
    assert found == value and type(found) is type(value)


def test_places_of_values_and_keys():
    """Each value and each key knows its line and column."""
    root = parse("a:\n  - b: 1\n    c: [2, 3]\n", "f", "a pipeline", PipelineError)
    first = root.child("a", "").item(0)
    assert (root.key_place("a"), first.place, first.key_place("c")) == ("f:1:1", "f:2:5", "f:3:5")
    assert first.child("c", "").item(1).place == "f:3:12"


NAMES = st.from_regex("[a-z_]{1,6}", fullmatch=True)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(PLAIN)
@example("?0")
@example(["?", {"a": "?x y", "b": ":0"}])
def test_what_is_dumped_is_read_again(value):
    """Any value comes back as it was, in type and in content."""
    found = read(dump({"a": value}))["a"]
    assert repr(found) == repr(value)


def test_a_list_twice_is_written_twice():
    """No anchors are written, which would not be read."""
    both = [1, 2]
    assert read(dump({"a": both, "b": both})) == {"a": both, "b": both}


def test_files_without_an_end(tmp_path):
    """A device, a pipe, a folder, a file of megabytes and an absent one are each named, at once."""
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "large.yaml").write_bytes(b"# \n" * 30_000)
    (tmp_path / "endless.yaml").symlink_to("/dev/zero")
    for name, message in (
        ("pipe", "expected a file, got a pipe"),
        ("large", "expected a pipeline in YAML, got a file of more than 64 KB"),
        ("endless", "expected a file, got a device"),
        ("absent", "No such file"),
        ("x" * 300, "File name too long"),
    ):
        with pytest.raises(PipelineError, match=message):
            load(tmp_path / f"{name}.yaml", "a pipeline", PipelineError)
    with pytest.raises(PipelineError, match="got a folder"):
        load(tmp_path, "a pipeline", PipelineError)
