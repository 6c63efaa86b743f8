"""Pages and help texts are spelled right and read as English: the house style, as far as a test can hold it."""

from __future__ import annotations

import re
import subprocess
import sys

import click
import pytest
from conftest import ROOT

from bgkit import stages
from bgkit.cli import app
from bgkit.findings import FINDINGS

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]

# What our own texts said, and what a reader understands at once.
PHRASES = {
    r"(is|are|was|were) told(?! apart)": "is reported, is named",
    r"and (told|said)[.,;:]": "with a note, with a warning",
    r"that is said": "with a warning",
    r"tells? (what|which|whether|how)": "says which, shows how",
    r"goes? along": "is copied",
    r"(gone|goes|go|going) on (with|where)": "is resumed, continues",
    r"(has|have|had) no say": "has no effect",
    r"what stands? (over|in|at|below)": "name the thing",
    r"(say|says) nothing but": "print errors only",
    r"out of account": "ignored",
    r"for want of": "because ... is missing",
    r"to be had": "available",
    r"(file|card|option|shadow|jpg|stage|test|tests|which|that) wants?": "needs",
    r"has against": "name the error",
    r"is of which": "split the sentence",
    r"mind(ful)? that": "note that",
}
BLOCK = re.compile(r"^```.*?^```|<!--.*?-->", re.MULTILINE | re.DOTALL)


def prose(text: str) -> str:
    """The sentences of a page, without code."""
    return re.sub(r"`[^`\n]*`|\]\([^)]*\)", "", BLOCK.sub("", text))


def wrong_phrases(text: str) -> list[str]:
    """What a text says that it should say otherwise, with its surroundings and the better words."""
    flat = " ".join(text.split())
    return [
        f"...{flat[max(0, found.start() - 40) : found.end() + 40]}... ({better})"
        for phrase, better in PHRASES.items()
        for found in re.finditer(rf"\b{phrase}(?!\w)", flat, re.IGNORECASE)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_has_none_of_our_odd_phrases(page):
    """What once made readers stumble does not come back."""
    assert not wrong_phrases(prose(page.read_text()))


def test_help_and_stages_have_none_of_them():
    """The same of every command's help, every stage's docstring and every finding."""
    texts = [stages.find(name).doc for name in stages.names()] + [
        each.meaning + " " + each.advice for each in FINDINGS.values()
    ]
    for name in app.list_commands(None):
        command = app.get_command(None, name)
        texts += [
            command.get_help(click.Context(command)),
            *(getattr(each, "help", None) or "" for each in command.params),
        ]
    assert not [found for text in texts for found in wrong_phrases(text)]


def test_the_rules_find_what_they_are_for():
    """Each rule finds its phrase, and plain sentences pass."""
    odd = "It is told. Done, and said. It tells what happens. EXIF goes along. A jpg wants a color. It has no say."
    assert len(wrong_phrases(odd)) == 6
    assert not wrong_phrases("The two cannot be told apart, and you want to know which one reports it.")


def test_spelling():
    """codespell finds nothing, with American spelling; words it need not know are in pyproject.toml."""
    pytest.importorskip("codespell_lib")
    done = subprocess.run(
        [sys.executable, "-m", "codespell_lib", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md",
         "docs", "bgkit", "benchmarks", "plugin-template", "Makefile"],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
