"""What an editor shows of the shipped schemas, asked of yaml-language-server, which VS Code and Neovim run.

``npm install yaml-language-server@2`` puts it where it is looked for: into ``build/npm``, or into the path.
"""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess

import pytest
from conftest import ROOT

FOUND = shutil.which("yaml-language-server") or shutil.which(
    "yaml-language-server", path=str(ROOT / "build" / "npm" / "node_modules" / ".bin")
)
if FOUND is None:
    pytest.skip("no yaml-language-server: npm install yaml-language-server@2", allow_module_level=True)

SETTINGS = {"validate": True, "hover": True, "completion": True, "schemaStore": {"enable": False}}
PIPELINE = f"# yaml-language-server: $schema={ROOT}/bgkit/schemas/pipeline.json\nbgkit: 1\nstages:\n"
RECIPE = f"# yaml-language-server: $schema={ROOT}/bgkit/schemas/recipe.json\nbgkit: 1\n"


class Editor:
    """As much of an editor as opens files and asks about places in them (Language Server Protocol 3.17)."""

    def __init__(self) -> None:
        self.server = subprocess.Popen(
            [FOUND, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.numbers = itertools.count(1)
        can = {"hover": {"contentFormat": ["markdown"]}, "publishDiagnostics": {}}
        found = self.ask("initialize", processId=None, rootUri=ROOT.as_uri(), capabilities={"textDocument": can})
        self.version = found.get("serverInfo", {}).get("version", "0")
        self.send("initialized")
        self.send("workspace/didChangeConfiguration", settings={"yaml": SETTINGS})

    def send(self, method: str | None = None, **params) -> None:
        """Send a notification, or an answer where the method is None."""
        self._write({"method": method, "params": params} if method else params)

    def ask(self, method: str, **params):
        """Send a request and return its result."""
        number = next(self.numbers)
        self._write({"id": number, "method": method, "params": params})
        return self._wait(lambda message: "method" not in message and message.get("id") == number)["result"]

    def open(self, uri: str, text: str) -> list[tuple[int, str]]:
        """Open a file and return what is underlined: lines from 0, and messages."""
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self.send("textDocument/didOpen", textDocument=document)
        message = self._wait(
            lambda each: each.get("method") == "textDocument/publishDiagnostics" and each["params"]["uri"] == uri
        )
        return [(each["range"]["start"]["line"], each["message"]) for each in message["params"]["diagnostics"]]

    def at(self, what: str, uri: str, line: int, col: int):
        """Return the hover text or the completions at a place."""
        place = {"line": line, "character": col}
        return self.ask(f"textDocument/{what}", textDocument={"uri": uri}, position=place)

    def _write(self, message: dict) -> None:
        text = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.server.stdin.write(b"Content-Length: %d\r\n\r\n" % len(text) + text)
        self.server.stdin.flush()

    def _wait(self, wanted) -> dict:
        """Read messages up to a wanted one; the server's own requests are answered."""
        while True:
            size = 0
            while line := self.server.stdout.readline().strip():
                name, _, value = line.partition(b":")
                size = int(value) if name.lower() == b"content-length" else size
            if not size:
                raise EOFError("yaml-language-server ended")
            message = json.loads(self.server.stdout.read(size))
            if wanted(message):
                return message
            if "method" in message and "id" in message:
                asked = message["params"].get("items", [])
                self.send(id=message["id"], result=[SETTINGS if each["section"] == "yaml" else {} for each in asked])


@pytest.fixture(scope="module")
def editor():
    """One language server for all tests."""
    editor = Editor()
    try:
        if int(editor.version.partition(".")[0]) < 2:
            pytest.skip(f"yaml-language-server {editor.version}: expected 2.0.0 or newer, whose words these are")
        yield editor
    finally:
        editor.server.stdin.close()
        editor.server.terminate()
        editor.server.stdout.close()
        editor.server.wait()


FILES = [*(ROOT / "bgkit" / "pipelines").glob("*.yaml"), *(ROOT / "bgkit" / "train" / "recipes").glob("*.yaml")]


@pytest.mark.parametrize("path", sorted(FILES), ids=lambda path: path.stem)
def test_nothing_is_underlined_in_a_shipped_file(path, editor):
    """The schema that the first line names is found, and has nothing against the file."""
    assert editor.open(path.as_uri(), path.read_text("utf-8")) == []
    assert "Source: [" in editor.at("hover", path.as_uri(), 1, 2)["contents"]["value"]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (PIPELINE + "  - closing\n  - luv_threshold: {tolerence: 9}\n", 4, "Property tolerence is not allowed."),
        (PIPELINE + "  - luv_threshold:\n      tolerence: 9\n", 4, "Property tolerence is not allowed."),
        (PIPELINE + "  - luv_treshold: {tolerance: 9}\n", 3, "Property luv_treshold is not allowed."),
        (PIPELINE + "  - luv_treshold\n", 3, 'Value is not accepted. Valid values: "flat_field", '),
        (PIPELINE + "  - luv_threshold: {tolerance: 900}\n", 3, "Value is above the maximum of 200."),
        (PIPELINE + "  - luv_threshold: {tolerance: much}\n", 3, 'Incorrect type. Expected "number".'),
        (PIPELINE + "  - luv_threshold: {colors: wihte}\n", 3, "expected a color (#rrggbb or one of aqua, "),
        (PIPELINE + "  - luv_threshold\nchecks:\n  trst: 3\n", 5, "Property trst is not allowed."),
        (PIPELINE + "  -\n", 3, "Incorrect type. Expected one of object, string."),
        (RECIPE + "loss:\n  iuo: 3\n", 3, "Property iuo is not allowed."),
        (RECIPE + "network: corse\n", 2, 'Value is not accepted. Valid values: "coarse", '),
    ],
)
def test_a_mistake_is_underlined_with_one_sentence(text, line, message, editor, tmp_path):
    """The line is the mistake's own, and the message says what is wrong there."""
    ((where, said),) = editor.open((tmp_path / "wrong.yaml").as_uri(), text)
    assert where == line
    assert said.startswith(message)


@pytest.mark.parametrize(
    ("text", "line", "col", "wanted"),
    [
        (PIPELINE + "  - \n", 3, 4, {"luv_threshold", "closed_form_matting", "composite"}),
        (PIPELINE + "  - luv_threshold:\n      \n", 4, 6, {"tolerance", "softness", "merge"}),
        (PIPELINE + "  - luv_threshold: {key: }\n", 3, 25, {"border", "corners", "color"}),
        (PIPELINE + "  - luv_threshold\nchecks:\n  \n", 5, 2, {"subject", "trust"}),
        (RECIPE + "network: \n", 2, 9, {"coarse", "u2net"}),
        (RECIPE + "loss:\n  \n", 3, 2, {"iou", "boundary"}),
    ],
)
def test_names_are_completed(text, line, col, wanted, editor, tmp_path):
    """Stages, parameters, words, findings, networks and sections where they may stand, each once."""
    uri = (tmp_path / "open.yaml").as_uri()
    editor.open(uri, text)
    answer = editor.at("completion", uri, line, col)
    labels = [each["label"] for each in answer["items"]]
    assert wanted <= set(labels)
    assert len(labels) == len(set(labels))


@pytest.mark.parametrize(
    ("line", "col", "words"),
    [
        (3, 6, "Mark as foreground what differs in color"),
        (3, 22, "Distance from the backdrop up to which"),
        (4, 6, "`closing`: Fill what is too narrow"),
        (6, 4, "chance that the result is not a failure"),
    ],
)
def test_texts_are_shown(line, col, words, editor, tmp_path):
    """Of a stage, with parameters and bare, of a parameter, of a finding; without marks of another markup."""
    uri = (tmp_path / "shown.yaml").as_uri()
    editor.open(uri, PIPELINE + "  - luv_threshold: {tolerance: 9}\n  - closing\nchecks:\n  trust: 3\n")
    shown = editor.at("hover", uri, line, col)["contents"]["value"]
    assert words in shown and "``" not in shown.replace("\\", "")
