"""What the pages name is there: options, parameters of stages, fields of the server, metrics, findings."""

from __future__ import annotations

import re

import pytest
from conftest import ROOT

from bgkit import stages
from bgkit.cli import app
from bgkit.evaluate.metrics import METRICS
from bgkit.findings import FINDINGS

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FILES = ("png", "jpg", "py", "yaml", "toml", "onnx", "md", "json", "md#", "tif")  # `strokes.png` is no parameter


def code(text: str) -> str:
    """The code of a page, inline and in blocks, with continued lines joined."""
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    return "\n".join([*blocks, *inline]).replace("\\\n", " ")


def options(command=app) -> set[str]:
    """Every long option of the command line."""
    found = {each for param in command.params for each in (*param.opts, *param.secondary_opts)}
    for name in getattr(command, "commands", None) or getattr(command, "list_commands", lambda _: ())(None):
        found |= options(command.get_command(None, name))
    return found | {"--help", "--version", "--debug"}


def named_options(text: str) -> set[str]:
    """The options that stand in a command of ours, or by themselves."""
    lines = [re.split(r"[|&;]", line)[0] if "bgkit" in line.split("|")[0] else line for line in code(text).splitlines()]
    ours = [line for line in lines if re.match(r"(?:\w+=\S+ )*bgkit |--[a-z]", line.strip())]
    return {each for line in ours for each in re.findall(r"(?<![\w-])--[a-z][a-z-]+", line.partition("#")[0])}


# Options of other programs (Dask, gunicorn) that stand on the pages by themselves.
OTHERS = {"scale.md": {"--nthreads"}, "command-line.md": {"--preload"}}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_options_are_there(page):
    """Each option on the page is one of the command line's."""
    others = OTHERS.get(page.name, set())
    assert not named_options(page.read_text("utf-8")) - options() - others


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_parameters_are_there(page):
    """Each ``STAGE.PARAM`` on the page is a parameter of that stage, each ``checks.NAME`` a finding."""
    wrong = []
    for stage, name in re.findall(r"(?<![\w./])([a-z_]+)\.([a-z_]+)\b(?![(.])", code(page.read_text("utf-8"))):
        if name in FILES:
            continue
        if (stage in stages.shipped() and name not in stages.find(stage).settings) or (
            stage == "checks" and name not in FINDINGS
        ):
            wrong.append(f"{stage}.{name}")
    assert not wrong


def test_the_servers_fields_are_all_listed():
    """The page on serving has a row for each field of `POST /v1/remove`, and for no other."""
    pytest.importorskip("fastapi")
    from bgkit.serve.native import One

    text = (ROOT / "docs" / "how-to" / "serving.md").read_text("utf-8")
    table = text.partition("| field | |\n")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `([a-z]+)` \|", table, re.MULTILINE)) == set(One.model_fields)


def test_every_metric_is_defined():
    """The page on metrics has each name that `--metrics` takes."""
    rows = re.findall(r"^\| (`[^|]+) \| [+-] \|", (ROOT / "docs" / "reference" / "metrics.md").read_text("utf-8"), re.M)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(METRICS)


def test_an_unknown_option_is_noticed():
    """The rules find options in commands and by themselves, and leave those of other programs alone."""
    text = "Take `--reviews DIR`.\n```\nbgkit remove a.jpg --stripe | sort --key 2\nnpm install --silent\n```\n"
    assert named_options(text) == {"--reviews", "--stripe"}
