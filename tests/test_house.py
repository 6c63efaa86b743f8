"""The house keeps its order: who imports whom, what loads when, which file holds which stage."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys

import pytest
from conftest import ROOT

from bgkit import stages

# From left to right; a module may import its own level and those before it.
LEVELS = [
    {"errors"},
    {
        "files",
        "machine",
        "pairing",
        "color",
        "deblocking",
        "logistic",
        "params",
        "pieces",
        "resizing",
        "deadline",
        "distance",
        "threads",
        "yamlfile",
        "_ext",
        "backdrop",
        "extent",
        "imagefile",
        "videofile",
    },
    {"layers"},
    {"stage", "models", "laplacian", "geodesic", "evidence", "borders", "regions"},
    {"stages"},
    {"findings", "pipeline", "pipelinefile", "removal", "dialects", "testing"},
    {"evaluate"},
    {"batch"},
    {"comparison", "video"},
    {"serve", "train"},
    {"cli"},
]
LEVEL = {name: number for number, names in enumerate(LEVELS) for name in names}
FILES = sorted((ROOT / "bgkit").rglob("*.py"))


def module_of(path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path) -> set[str]:
    """The modules a file imports anywhere, also inside functions, but not for type checking only."""
    tree = ast.parse(path.read_text())
    hidden = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if node in hidden:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write absolute imports"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_point_left(path):
    """A file imports only what stands before it in the house."""
    parts = module_of(path).split(".")
    if len(parts) == 1 or parts[1] == "__main__":
        return
    for name in imports(path):
        target = name.split(".")
        if target[0] == "bgkit" and len(target) > 1 and target[1] in LEVEL:
            assert LEVEL[target[1]] <= LEVEL[parts[1]], f"{module_of(path)} imports {name}"


@pytest.mark.parametrize("path", sorted((ROOT / "bgkit" / "stages").glob("[a-z]*.py")), ids=lambda p: p.stem)
def test_stages_do_not_import_one_another(path):
    """What two stages share stands left of both."""
    assert not {name for name in imports(path) if name.startswith("bgkit.stages")}


@pytest.mark.parametrize(
    ("library", "keeper"),
    [
        ("onnxruntime", ("models",)),
        ("PIL", ("imagefile",)),
        ("distributed", ("batch",)),
        ("dask", ("batch",)),
        ("torch", ("train",)),
        ("fastapi", ("serve",)),
        ("av", ("videofile",)),
    ],
)
def test_each_library_has_one_keeper(library, keeper):
    """Only one part of the house knows each of these libraries."""
    for path in FILES:
        parts = module_of(path).split(".")
        users = {name for name in imports(path) if name.split(".")[0] == library}
        assert not users or parts[1] in keeper, f"{module_of(path)} imports {users}"


def test_server_has_no_circles():
    """No module of the server imports one that imports it in turn, not even inside of functions."""
    found = {module_of(path): imports(path) for path in (ROOT / "bgkit" / "serve").glob("*.py")}
    left = {name: {other for other in found if other in names} for name, names in found.items()}
    while bottom := {name for name, others in left.items() if not others & left.keys()}:
        left = {name: others for name, others in left.items() if name not in bottom}
    assert left == {}


def test_every_file_has_its_place():
    """Every module of the package stands in the order of the house."""
    names = {module_of(path).split(".")[1] for path in FILES if len(module_of(path).split(".")) > 1}
    assert names - {"__main__"} <= set(LEVEL)


def test_table_of_stages_is_true():
    """bgkit.stages.FILES names exactly the stages that the files define, and no file is named after a stage."""
    for path in (ROOT / "bgkit" / "stages").glob("[a-z]*.py"):
        module = importlib.import_module(f"bgkit.stages.{path.stem}")
        defined = {
            name
            for name, value in vars(module).items()
            if hasattr(value, "stage") and value.__module__ == module.__name__
        }
        assert defined == set(stages.FILES[path.stem])
    assert not set(stages.FILES) & {name for names in stages.FILES.values() for name in names}
    assert {path.stem for path in (ROOT / "bgkit" / "stages").glob("[a-z]*.py")} == set(stages.FILES)


def test_editors_know_every_stage():
    """bgkit.stages imports, for type checkers, exactly the stages of the table from their files."""
    tree = ast.parse((ROOT / "bgkit" / "stages" / "__init__.py").read_text())
    (block,) = (
        node for node in tree.body if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
    )
    named = {(node.module, alias.name, alias.asname) for node in block.body for alias in node.names}
    assert named == {(f"bgkit.stages.{file}", name, name) for file, names in stages.FILES.items() for name in names}


HEAVY = ["cv2", "scipy", "skimage", "onnxruntime", "torch", "ruamel", "rich", "PIL", "pymatting", "numba", "click"]


def test_import_is_light():
    """``import bgkit`` loads nothing heavier than NumPy."""
    code = f"import sys, bgkit; print([name for name in {HEAVY} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip() == "[]"


def test_public_names_load():
    """Every promised name is there, and a wrong one is an AttributeError."""
    import bgkit

    for name in bgkit.__all__:
        assert getattr(bgkit, name) is not None
    with pytest.raises(AttributeError):
        _ = bgkit.no_such_name
