"""Cards: every field wrong in turn is met with the file, the field and what to mend."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from onnx import helper
from onnx_files import card_text, red_channel, value, write

from bgkit.errors import ModelError, ParamError
from bgkit.models import list_cards, parse_card, read_card, show, store
from bgkit.models.card import CardFile, File, Input, Instances, License, Normalization, Output, Tensor, card_schema
from bgkit.models.fitting import check_card
from bgkit.models.graph import read_graph
from bgkit.models.store import shipped_cards
from bgkit.params import read_fields
from bgkit.pipelinefile import load_pipeline, shipped

GOOD = """
bgkit = 1
name = "net"
summary = "A network."
sources = ["https://example.org"]

[file]
name = "net.onnx"
url = "https://example.org/net.onnx"
sha256 = "SHA"
bytes = 1000

[license]
name = "MIT"
commercial = true
terms = "None."

[input]
size = [320, 240]
fit = "letterbox"
pad = 0.5
order = "BGR"
layout = "NCHW"
interpolation = "bilinear"
scale = 255
mean = [1, 2, 3]
deviation = 4
mirror = true
tile = 900
[input.mask]
mean = 0.5
[[input.tensors]]
name = "a"
layers = ["image", "mask"]

[output]
name = "b"
activation = "softmax"
classes = [1]
layout = "NHWC"
stretch = false
interpolation = "bicubic"
""".replace("SHA", "0" * 64)


def test_every_field_is_read():
    """A card that uses every field means what it says."""
    card = parse_card(GOOD, "net.toml")
    put = card.input
    assert (put.fixed, put.fit, put.pad, put.order, put.tile) == ((320, 240), "letterbox", 0.5, "BGR", 900)
    assert card.normalizations["image"].mean == (1, 2, 3)
    assert card.normalizations["image"].deviation == 4
    assert card.normalizations["mask"].mean == 0.5
    assert card.layers == ("image", "mask")
    assert card.task == "refinement"
    assert card.output.classes == (1,)


WRONG = [
    ("bgkit = 1", "bgkit = 2", "bgkit: expected 1, got 2"),
    ("bgkit = 1", "", "bgkit: expected 1, got nothing; add the field"),
    ('name = "net"\n', 'name = "My Net"\n', "name: expected a name of small letters, digits"),
    ('summary = "A network."', "summary = 3", "summary: expected text, got 3"),
    ('sources = ["https://example.org"]', "sources = []", "sources: expected a list of text, at least one, got []"),
    ('"net.onnx"', '"../net.onnx"', "file.name: expected a file name that ends in .onnx, without folders"),
    ('url = "https', 'url = "file', "file.url: expected an address that starts with https://"),
    ("0" * 64, "0" * 63, "file.sha256: expected 64 hexadecimal digits"),
    ('sha256 = "' + "0" * 64 + '"', "", "file.sha256: expected a checksum beside the url"),
    ('sha256 = "' + "0" * 64, 'md5 = "12', "file.md5: expected 32 hexadecimal digits"),
    ("bytes = 1000", "bytes = 0", "file.bytes: expected a whole number in 1..1e+15 bytes, got 0"),
    ('name = "MIT"', "", "license.name: expected text, got nothing; add the field"),
    ("commercial = true", 'commercial = "yes"', "license.commercial: expected true or false or unclear, got 'yes'"),
    (
        "size = [320, 240]",
        "size = [320]",
        "input.size: expected a whole number in 1..100000 px or 2 values, each a whole number in 1..100000 px",
    ),
    ("size = [320, 240]", "size = 3.5", "input.size: expected a whole number in 1..100000 px or 2 values"),
    ("size = [320, 240]", "size = 320\nshort_side = 3", "expected one of size, short_side and long_side"),
    ("size = [320, 240]", "short_side = 320", 'input.fit: expected a fixed "size" with letterbox or corner'),
    ("size = [320, 240]", "size = 320\nmultiple = 0", "input.multiple: expected a whole number in 1..100000 px"),
    (
        "size = [320, 240]",
        'size = 320\nrounding = "x"',
        "input.rounding: expected down or nearest or up or pad",
    ),
    ("size = [320, 240]", 'size = 320\nwhen = "x"', "input.when: expected always or outside"),
    ('fit = "letterbox"', 'fit = "crop"', "input.fit: expected stretch or letterbox or corner, got 'crop'"),
    ("pad = 0.5", "pad = 128", "input.pad: expected 0..1 or mean, got 128"),
    ('order = "BGR"', 'order = "GBR"', "input.order: expected RGB or BGR"),
    ('layout = "NCHW"', 'layout = "NCWH"', "input.layout: expected NCHW or NHWC or CHW"),
    ('interpolation = "bilinear"', 'interpolation = "linear"', "input.interpolation: expected area or sparse-area"),
    ("scale = 255", "scale = 0", "input.scale: expected a number above 0, got 0"),
    ("mean = [1, 2, 3]", "mean = [1, 2]", "input.mean: expected a number or 3 values, each a number, got"),
    ("mean = [1, 2, 3]", "mean = [1, 2, nan]", "input.mean: expected a number or 3 values, each a number, got"),
    (
        "deviation = 4",
        "deviation = [1, 0, 1]",
        "input.deviation: expected a number above 0 or 3 values, each a number above 0, got",
    ),
    ("mirror = true", "mirror = 1", "input.mirror: expected true or false, got 1"),
    ("mirror = true", "closer = 2", "input.closer: expected 0..1, got 2"),
    ("mirror = true", "closer = 0.8", "input.closer: expected a network that answers with a mask of the whole picture"),
    ("tile = 900", 'tile = "all"', "input.tile: expected a whole number in 1..100000 px, got 'all'"),
    ("[input.mask]\nmean = 0.5", "[input.mask]\nmean = [1, 2]", "input.mask.mean: expected a number, got [1, 2]"),
    ("[input.mask]", "[input.trimap]", 'input.trimap: expected only layers that a tensor uses, got "trimap"'),
    (
        '"image", "mask"]',
        '"image", "depth"]',
        "input.tensors.layers: expected a list of image or plate or next or mask or trimap, at least one, got",
    ),
    ('"image", "mask"]', '"mask"]', 'input.tensors: expected one that holds the layer "image"'),
    ('name = "b"', "name = 0", "output.name: expected text, got 0"),
    ('name = "b"', 'name = "b"\nindex = 1', "output.index: expected either a name or an index, got both"),
    ('"softmax"', '"soft"', "output.activation: expected none or sigmoid or softmax or labels"),
    ("classes = [1]", "", "output.classes: expected the class numbers that mean foreground, with softmax"),
    ("classes = [1]", "classes = [-1]", "output.classes: expected a list of a whole number in 0..99999, got [-1]"),
    ('layout = "NHWC"', 'layout = "HWC"', "output.layout: expected NCHW or NHWC or CHW"),
    ("stretch = false", 'stretch = "no"', "output.stretch: expected true or false, got 'no'"),
    ('"bicubic"', '"lanczos"', "output.interpolation: expected bilinear or bicubic or nearest"),
    ("[output]", "[outputs]", "outputs: no such field; did you mean 'output'?"),
    ("stretch = false", "strech = false", "output.strech: no such field; did you mean 'stretch'?"),
    (
        'interpolation = "bicubic"',
        "[output.instances]\nboxes = 'b'",
        "output.instances.labels: expected text, got nothing",
    ),
    ("scale = 255", "scale = = 255", "not valid TOML"),
]


@pytest.mark.parametrize(("old", "new", "message"), WRONG)
def test_each_wrong_field_says_what_to_mend(old, new, message):
    """A card with one field wrong is refused with the file, the field, what was expected and what was given."""
    assert old in GOOD
    with pytest.raises(ModelError) as caught:
        parse_card(GOOD.replace(old, new, 1), "net.toml")
    assert str(caught.value).startswith("net.toml: ")
    assert message in str(caught.value)


def test_an_absent_table_is_named():
    """A card without one of its four tables says which."""
    with pytest.raises(ModelError, match=r"^net.toml: output: expected a table, got nothing; add the field$"):
        parse_card(GOOD.partition("[output]")[0], "net.toml")


TABLES = [CardFile, File, License, Input, Normalization, Tensor, Output, Instances]
FIELDS = [(table, name) for table in TABLES for name in read_fields(table)]


@pytest.mark.parametrize(("table", "name"), FIELDS, ids=lambda each: getattr(each, "__name__", each))
def test_fields_refuse_what_lies_outside_and_say_what_they_are(table, name):
    """Every field has a text, and refuses other types and the values next to its limits."""
    field = read_fields(table)[name]
    assert field.doc
    for bad in field.bad_values():
        with pytest.raises(ParamError, match=f"^{name}[:.]"):
            field.check(bad)


def test_schema_of_a_card_follows_the_declaration():
    """The JSON Schema names each table's fields, the required ones, limits, patterns and types of several kinds."""
    schema = card_schema()
    tables = schema["properties"]
    assert schema["required"] == ["bgkit", "name", "summary", "sources", "file", "license", "input", "output"]
    assert list(tables["input"]["properties"]) == list(read_fields(Input))
    assert tables["license"]["required"] == ["name", "commercial"]
    assert tables["license"]["properties"]["commercial"]["anyOf"] == [{"type": "boolean"}, {"enum": ["unclear"]}]
    assert tables["input"]["properties"]["closer"] | {"description": ""} == {
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "description": "",
    }
    tensors = tables["input"]["properties"]["tensors"]  # a list, or one table
    assert tensors["then"]["items"]["required"] == tensors["else"]["required"] == ["layers"]
    assert re.search(tables["file"]["properties"]["name"]["pattern"], "net.onnx")
    assert not re.search(tables["file"]["properties"]["name"]["pattern"], "../net.onnx")


@pytest.mark.parametrize(
    ("put", "out", "shape", "message"),
    [
        (
            'name = "picture"',
            "",
            ("N", 3, "H", "W"),
            r"^net.toml \(for net.onnx\): input.name: expected one of the graph's inputs .*, got 'picture'",
        ),
        (
            'layout = "CHW"',
            "",
            ("N", 3, "H", "W"),
            r'input.layout: expected "NCHW" for image float32\[\?, 3, \?, \?\], got "CHW"',
        ),
        ('layout = "NHWC"', "", (1, 3, 8, 6), r'input.layout: expected "NCHW" for .*, got "NHWC"'),
        ("", "", (1, 8, 6, 3), r'input.layout: expected "NHWC" for .*, got "NCHW"'),
        ('layout = "CHW"', "", (1, 8, 6, 4), r'input.layout: expected one that fits .*, got "CHW"'),
        ("size = [8, 7]", "", (1, 3, 8, 6), r"input.size: expected the graph's 6 columns .*, got 7"),
        ("size = [9, 6]", "", (1, 3, 8, 6), r"input.size: expected the graph's 8 rows .*, got 9"),
        ("short_side = 8", "", (1, 3, 8, 6), r"input.size: the graph's input is fixed .*; expected size = \[8, 6\]"),
        ("", 'name = "alpha"', (1, 3, 8, 6), r"output.name: expected one of the graph's outputs \(mask\), got 'alpha'"),
        (
            "",
            'activation = "sigmoid"',
            (1, 3, 8, 6, "Sigmoid"),
            r'output.activation: expected "none", got "sigmoid"; .*',
        ),
        (
            "",
            'activation = "softmax"\nclasses = [0]',
            (1, 3, 8, 6, "Softmax"),
            "the graph's output mask is made by Softmax already",
        ),
        ("", "classes = [1]", (1, 3, 8, 6), r"output.classes: expected numbers in 0..0, got 1"),
        ("", 'layout = "NHWC"', (1, 3, 8, 6), r'output.layout: expected "NCHW" for mask float32\[1, 1, 8, 6\], got'),
        ("", "index = 1", (1, 3, 8, 6), r"output.index: expected 0..0, got 1"),
        ('[[input.tensors]]\nlayers = ["image", "trimap"]', "", (1, 3, 8, 6), "expected 3 channels .*, got 4"),
        (
            '[[input.tensors]]\nname = "image"\nlayers = ["image"]\n[[input.tensors]]\nname = "p"\nlayers = ["plate"]',
            "",
            (1, 3, 8, 6),
            r"^net.toml \(for net.onnx\): input.tensors.name: expected one of the graph's inputs .*, got 'p'",
        ),
    ],
)
def test_card_that_does_not_fit_the_graph(tmp_path, put, out, shape, message):
    """Names, layout, channels and sizes are held against the graph before anything runs."""
    last = shape[-1] if shape[-1] in ("Sigmoid", "Softmax") else None
    graph = read_graph(red_channel(tmp_path / "net.onnx", shape[:-1] if last else shape, last))
    with pytest.raises(ModelError, match=message):
        check_card(parse_card(card_text(put, out), "net.toml"), graph, "net.onnx")


def answering(path, shape):
    """The graph of a network that answers an array of ``shape``, and a card for it."""
    source = [1, 64, 64, 3] if "nhwc" in path.name else [1, 3, 64, 64]
    write(path, [helper.make_node("Identity", ["image"], ["out"])], [value("image", source)], [value("out", shape)])
    return read_graph(path)


@pytest.mark.parametrize("shape", [(1, 10), ("N", 10), (10,), (), (1, 1000, 1, 1), (1, 1, 1, 8, 8)])
def test_answers_that_are_no_map(tmp_path, shape):
    """A classifier is refused: what it answers has no rows and columns."""
    with pytest.raises(ModelError, match=r"output.name: expected a map \(1, classes, rows, columns\), got out float32"):
        check_card(parse_card(card_text("", "classes = [0]"), "net.toml"), answering(tmp_path / "n.onnx", shape), "net")


@pytest.mark.parametrize("shape", [(64, 64), (1, 64, 64), (2, 64, 64), (1, 1, "H", "W"), ("a", "b", "c", "d"), None])
def test_answers_that_are_maps(tmp_path, shape):
    """A map without its batch or its classes, and one that tells nothing of its shape, are taken."""
    check_card(parse_card(card_text(), "net.toml"), answering(tmp_path / "net.onnx", shape), "net.onnx")


@pytest.mark.parametrize(
    ("name", "shape", "out", "message"),
    [
        ("n.onnx", (1, 21, 64, 64), "", "output.classes: expected the foreground classes out of 21, got none"),
        ("n.onnx", (1, 21, 64, 64), "classes = [15, 21]", "output.classes: expected numbers in 0..20, got 21"),
        ("n.onnx", (1, 64, 64, 21), "classes = [15]", 'output.layout: expected "NHWC"'),
        ("nhwc.onnx", (1, 1, 64, 64), "", 'output.layout: expected "NCHW"'),
        ("nhwc.onnx", (1, 21, 64, 64), "classes = [15]", 'output.layout: expected "NCHW"'),
        ("nhwc.onnx", (1, 21, 64, 64), 'classes = [21]\nlayout = "NCHW"', "output.classes: expected numbers in 0..20"),
    ],
)
def test_classes_and_layout_of_the_output(tmp_path, name, shape, out, message):
    """Classes are counted in the graph, and an output whose layout is not the input's is told."""
    put = 'layout = "NHWC"' if "nhwc" in name else ""
    with pytest.raises(ModelError, match=re.escape(message)):
        check_card(parse_card(card_text(put, out), "net.toml"), answering(tmp_path / name, shape), "net")


def test_unreadable_card(tmp_path):
    """A card that is not there, or not text, is named."""
    with pytest.raises(ModelError, match=r"none.toml: the card cannot be read"):
        read_card(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ModelError, match="got a file that is not text"):
        read_card(tmp_path / "bad.toml")


def test_card_with_a_byte_order_mark(tmp_path):
    """A card as some editors on Windows write it."""
    (tmp_path / "net.toml").write_bytes(b"\xef\xbb\xbf" + card_text().encode().replace(b"\n", b"\r\n"))
    assert read_card(tmp_path / "net.toml").name == "drawn"


def test_messages_name_the_card_only_where_it_is_the_users(tmp_path):
    """A card that ships with bgkit is nothing to mend: there the file is another."""
    graph = read_graph(red_channel(tmp_path / "net.onnx", (1, 8, 6, 3)))
    with pytest.raises(ModelError, match=r"^net.onnx: input.layout"):
        check_card(show("u2netp"), graph, "net.onnx")


@pytest.mark.parametrize("path", sorted(store.CARDS.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_cards_are_whole(path):
    """Every shipped card reads, is named like its file, has a source, and a checksum where it has an address."""
    card = read_card(path)
    assert card.name == path.stem
    assert card.sources
    assert not card.file.url or card.file.sha256 or card.file.md5


def test_field_table_has_its_cards():
    """The known networks of the field are there, and the one that may not be sold with says so."""
    names = {card.name for card in list_cards()}
    assert {"u2net", "u2netp", "u2net-human", "silueta", "isnet-general", "isnet-anime", "birefnet-general"} <= names
    assert {"birefnet-lite", "rmbg-2", "ben2", "modnet-portrait", "backgroundmattingv2", "vitmatte-small"} <= names
    assert show("rmbg-2").license.commercial is False


def test_names_do_not_reach_out_of_the_store():
    """A name is never a path."""
    for name in ("../coarse", "/etc/passwd", "."):
        with pytest.raises(ModelError, match="no network named"):
            show(name)


def test_graph_reader_equals_onnx(tmp_path):
    """Inputs and outputs are what the onnx package reads, for every kind of dimension."""
    import onnx

    for shape in (("N", 3, "H", "W"), (1, 3, 8, 6), (3, "H", "W"), (1, 8, 6, 3)):
        path = red_channel(tmp_path / "net.onnx", shape, "Sigmoid")
        graph, model = read_graph(path), onnx.load(path).graph
        for found, reply in zip(graph.inputs + graph.outputs, [*model.input, *model.output], strict=True):
            dims = reply.type.tensor_type.shape.dim
            assert (found.name, found.shape) == (reply.name, tuple(dim.dim_value or None for dim in dims))
        assert graph.last_operator("mask") == "Sigmoid"


PORTRAITS = ("0609", "0588", "0748")  # a man, someone in a hat, a baby


@pytest.mark.parametrize("card", sorted((Path(__file__).parent / "cards").glob("*.toml")), ids=lambda path: path.stem)
def test_foreign_portrait_networks_find_people(data, card):
    """Three networks nobody here made find the person in pictures of persons, by cards of ours."""
    import cv2
    import numpy as np

    from bgkit.models.session import Network

    net = Network(read_card(card), data / "models" / f"{card.stem}.onnx", "cpu")
    scores = []
    for name in PORTRAITS:
        image = cv2.imread(str(data / "test/ecssd/images" / f"{name}.jpg"))[:, :, ::-1].astype(np.float32) / 255
        truth = cv2.imread(str(data / "test/ecssd/masks" / f"{name}.png"), 0) > 128
        found = net.run({"image": np.ascontiguousarray(image)}) > 0.5
        scores.append((found & truth).sum() / (found | truth).sum())
    assert np.mean(scores) > 0.75


def test_cards_of_the_docs_are_right():
    """Every card in "Bring your own network" is one that bgkit takes."""
    text = (Path(__file__).parent.parent / "docs" / "how-to" / "bring-your-own-network.md").read_text("utf-8")
    blocks = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert {parse_card(block, "docs").task for block in blocks} == {"mask", "matting", "refinement", "regions"}


@pytest.mark.parametrize("table", ["bgkit = 1", "[file]", "[license]", "[input]", "[output]"])
def test_table_of_fields_is_complete(table):
    """The page's table names every field that a card may have, as a wrong one is told."""
    with pytest.raises(ModelError, match="no such field") as caught:
        parse_card(GOOD.replace(table, f"{table}\nunknown = 1", 1), "net.toml")
    fields = re.search(r"there are: (.*)\)", str(caught.value))[1].split(", ")
    text = (Path(__file__).parent.parent / "docs" / "how-to" / "bring-your-own-network.md").read_text("utf-8")
    section = text.partition("## The fields")[2].partition("\n## ")[0]
    named = {name.strip("[]").rpartition(".")[2] for name in re.findall(r"`([^`]+)`", section)}
    assert [field for field in fields if field not in named] == []


def test_license_page_names_every_network():
    """ "Which model may I sell with" lists every shipped card."""
    text = (Path(__file__).parent.parent / "docs" / "how-to" / "which-model-may-i-sell-with.md").read_text("utf-8")
    assert [card.name for card in list_cards() if f"`{card.name}`" not in text] == []
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    minds = {name: row.split("|")[4].strip() for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])}
    assert [card.name for card in shipped_cards() if card.license.terms and not minds[card.name]] == []


def test_license_page_says_which_pipelines_use_a_network():
    """Each shipped pipeline stands in the line that is true of it."""
    text = (Path(__file__).parent.parent / "docs" / "how-to" / "which-model-may-i-sell-with.md").read_text("utf-8")
    (using,) = re.findall(r"^- (.*) use `coarse`", text, re.MULTILINE)
    (without,) = re.findall(r"^- (.*) use no network", text, re.MULTILINE)
    models = {
        name: [step.values["model"] for step in load_pipeline(name).steps if "model" in step.values]
        for name in shipped()
    }
    assert re.findall(r"`([^`]+)`", using) == [name for name in shipped() if models[name] == ["coarse"]]
    assert re.findall(r"`([^`]+)`", without) == [name for name in shipped() if not models[name]]
