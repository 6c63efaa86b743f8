"""What a training run is made of: every choice by name, with its range and what more of it does.

Each section of a recipe file is a class here, and each key a field: :func:`bgkit.params.read_params` reads types,
ranges, defaults and texts from it, as it does of stages. ``bgkit/train/recipefile.py`` reads the YAML.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from bgkit.params import Range

__all__ = [
    "EMBEDDED",
    "IMAGENET",
    "SECTIONS",
    "Augmentation",
    "Course",
    "Data",
    "Loss",
    "Optimizer",
    "Recipe",
    "Schedule",
    "Split",
]

# Words that `start` takes instead of a checkpoint.
IMAGENET = "imagenet"  # an encoder's weights as ImageNet taught them
EMBEDDED = "embedded"  # those of the network that bgkit ships

Probability = Annotated[float, Range(0, 1, "of the samples")]


@dataclass(frozen=True, kw_only=True)
class Course:
    """What stands at the top of a recipe.

    Parameters
    ----------
    epochs : int
        How often each picture is seen.
    batch : int
        Pictures in one step. More steadies the gradient and costs memory.
    sizes : tuple of int
        Sides of the square that pictures are cut to, multiples of what the network needs (``coarse``: 32). Of several,
        each takes an equal part of the run: small ones are quick, and what they teach holds for larger ones. Of more
        than there are epochs some are left out, never the last.
    average : float
        Decay of the averaged weights at each step; they are what is scored and exported. 0 takes the last weights.
    seed : int
        Of the split, the order, the augmentation, the first weights.
    precision : str
        ``bfloat16`` computes activations in half the bytes, which pays where the processor has instructions for it.
    device : str
        What trains: ``cuda`` is an NVIDIA card. Only on ``cpu`` a resumed run equals an unbroken one bit for bit.
    threads : int
        Cores to use; 0 is all. The same recipe gives the same bits for the same number only.
    start : tuple of str
        What the run begins with instead of random weights. ``embedded``: the weights of the network that bgkit ships,
        for the architecture it has. ``imagenet``: what ImageNet taught the encoder, for an architecture with one.
        Otherwise an ONNX file that ``bgkit export`` wrote, or a checkpoint, whose averaged weights are taken; of
        several checkpoints the mean of their weights. In a file of yours, paths are relative to it.
    statistics : str
        Of batch normalization: ``batch`` takes those of each batch, ``kept`` leaves them as they came with ``start``,
        which is better for few pictures or small batches. An exported network has them in its weights: ``kept``.
    """

    epochs: Annotated[int, Range(1, 100_000, "epochs")] = 30
    batch: Annotated[int, Range(1, 4096, "pictures")] = 16
    sizes: Annotated[tuple[int, ...], Range(16, 4096, "px")] = (224,)
    average: Annotated[float, Range(0, 0.99999)] = 0.999
    seed: Annotated[int, Range(0, 2**31)] = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    device: Literal["cpu", "cuda"] = "cpu"
    threads: Annotated[int, Range(0, 1024, "cores")] = 0
    start: tuple[str, ...] = ()
    statistics: Literal["batch", "kept"] = "batch"


@dataclass(frozen=True, kw_only=True)
class Data:
    """Where pictures and masks are.

    Parameters
    ----------
    folder : str
        The folder that holds them.
    layout : str
        How they lie in it. ``pairs``: folders ``images`` and ``masks`` (or another usual pair of names), files matched
        by name without ending. ``shards``: tar files of pairs, ``NAME.webp`` or ``.jpg`` with ``NAME.png``. ``coco``:
        ``annotations/instances_PART.json`` and the folder PART. ``auto`` tells them apart. A name of
        ``bgkit.evaluate.datasets`` (``duts-tr``, ``hku-is``, ...) is that set's own layout.
    grounds : str
        Pictures without a subject to paste on, a folder or a tar file; empty: ``backgrounds.tar`` or the folder
        ``backgrounds`` where there is one, else plain ground only.
    teacher : str
        A run or a checkpoint whose network draws the masks to train with: its answers, brought to the pictures' edges
        by an iterated CRF. The folder's own masks then only choose the checkpoint and score it.
    long_side : int
        Pictures are shrunk to it when they are read, for all of them are held in memory.
    category : str
        COCO: what is subject.
    count : tuple of int
        COCO: pictures with fewer or more objects of the category are left out.
    area : tuple of float
        COCO: pictures of which they cover less or more are left out.
    """

    folder: str = ""
    layout: str = "auto"
    grounds: str = ""
    teacher: str = ""
    long_side: Annotated[int, Range(32, 8192, "px")] = 320
    category: str = "person"
    count: Annotated[tuple[int, int], Range(1, 1000, "objects")] = (1, 2)
    area: Annotated[tuple[float, float], Range(0, 100, "% of the frame")] = (20.0, 70.0)


@dataclass(frozen=True, kw_only=True)
class Split:
    """Which share of the pictures is kept from training.

    Parameters
    ----------
    validation : float
        Chooses the best checkpoint.
    test : float
        Scored once, at the end, with the best checkpoint.
    seed : int
        Of the draw of the parts; -1 takes the recipe's own. A run that goes on from another run's weights keeps by it
        what that run held out, and sees other samples by a ``seed`` of its own.
    """

    validation: Annotated[float, Range(0.001, 90, "% of the pictures")] = 20.0
    test: Annotated[float, Range(0, 90, "% of the pictures")] = 10.0
    seed: Annotated[int, Range(-1, 2**31)] = -1


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """How a gradient becomes a step.

    Parameters
    ----------
    kind : str
        ``muon`` makes the steps of matrices and of convolutions' weights orthogonal and leaves the rest to AdamW.
    learning_rate : float
        At its highest.
    weight_decay : float
        Pulls weights of two and more dimensions to 0. More holds a network that learns its pictures by heart.
    momentum : float
        Of sgd, muon and rmsprop. More follows the mean of more steps.
    clip : float
        Longer gradients are cut to this length; 0 cuts none.
    encoder : float
        Share of the learning rate at which an encoder moves that ImageNet taught. Less keeps more of what it knows.
    """

    kind: Literal["adamw", "rmsprop", "sgd", "muon"] = "adamw"
    learning_rate: Annotated[float, Range(1e-8, 10)] = 1e-3
    weight_decay: Annotated[float, Range(0, 1)] = 0.01
    momentum: Annotated[float, Range(0, 0.999)] = 0.9
    clip: Annotated[float, Range(0, 1e6)] = 5.0
    encoder: Annotated[float, Range(0, 1, "of the rate")] = 0.15


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How the learning rate changes over the run.

    Parameters
    ----------
    kind : str
        ``cosine`` falls to 0 at the run's end in half a cosine; ``exponential`` is multiplied by ``decay`` after each
        epoch.
    decay : float
        Of ``exponential``; nearer to 1 is slower.
    warmup : int
        In so many steps the rate rises from 0; in a tenth of the run, where that is less.
    """

    kind: Literal["cosine", "exponential"] = "cosine"
    decay: Annotated[float, Range(0.1, 1, "per epoch")] = 0.995
    warmup: Annotated[int, Range(0, 1_000_000, "steps")] = 100


@dataclass(frozen=True, kw_only=True)
class Loss:
    """What is minimized: a sum of these, each times its number.

    Parameters
    ----------
    cross_entropy : float
        Pixel by pixel.
    iou : float
        1 - intersection / union, of a picture as a whole.
    ssim : float
        1 - structural similarity, of windows of 11 pixels: edges count.
    boundary : float
        1 - overlap of the contours (Luo et al. 2017): edges alone count, so it needs another loss beside it.
    supervision : str
        Weights of a network's coarser outputs: ``halving`` from one to the next, or ``equal``.
    own : bool
        A network that brings its paper's own loss (mattes do) is trained with that instead.
    """

    cross_entropy: Annotated[float, Range(0, 100)] = 1.0
    iou: Annotated[float, Range(0, 100)] = 1.0
    ssim: Annotated[float, Range(0, 100)] = 0.0
    boundary: Annotated[float, Range(0, 100)] = 0.0
    supervision: Literal["halving", "equal"] = "halving"
    own: bool = True


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What may happen to a sample, as probabilities.

    Parameters
    ----------
    crop : float
        Part of the picture, a little stretched, instead of all of it.
    closest : float
        The smallest such part. Less shows more subjects that are larger than the frame.
    mirror : float
        Left and right exchanged.
    turn : float
        Turned by some degrees.
    paste : float
        The subject on new ground.
    empty : float
        New ground alone, so that the network can say "nothing here".
    vacant : float
        A part of a training picture that holds no subject, where there is one.
    texture : float
        Which share of new grounds is a texture; the rest is plain, as in a studio.
    mix : float
        The subject in another training picture, whose own subject stays one: as good as new pictures, where there are
        few.
    close : float
        The subject close before plain ground, mostly cut by the frame; every second one is its outline, filled with
        another picture or a texture. Whatever differs from such ground is subject.
    ragged : float
        Which share of these is frayed as fur is, broken by gaps as foliage is, or partly filled with other things.
    smallest : float
        The smallest part of the frame that a picture is shrunk to when its subject is put on new ground.
    recolor : float
        Other colors: hues turned, channels on curves of their own; a subject on new ground and the ground each theirs.
    relight : float
        Brightness, contrast, saturation and color balance changed a little.
    gray : float
        Colors taken away.
    low_light : float
        Darkened.
    blur : float
        Out of focus.
    noise : float
        A sensor's.
    jpeg : float
        Packed at low quality.
    """

    crop: Probability = 0.75
    closest: Annotated[float, Range(0.05, 1, "of the picture's area")] = 0.45
    mirror: Probability = 0.5
    turn: Probability = 0.3
    paste: Probability = 0.2
    empty: Probability = 0.03
    vacant: Probability = 0.03
    texture: Annotated[float, Range(0, 1, "of the grounds")] = 0.5
    mix: Probability = 0.0
    close: Probability = 0.0
    ragged: Annotated[float, Range(0, 1, "of the close ones")] = 0.0
    smallest: Annotated[float, Range(0.02, 1, "of the frame's area")] = 1.0
    recolor: Probability = 0.0
    relight: Probability = 1.0
    gray: Probability = 0.05
    low_light: Probability = 0.08
    blur: Probability = 0.08
    noise: Probability = 0.15
    jpeg: Probability = 0.15


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One training run; the same recipe and pictures give the same network."""

    description: str = ""
    network: str = "coarse"
    options: Mapping[str, Any] = field(default_factory=dict)  # what its class takes
    course: Course = field(default_factory=Course)
    data: Data = field(default_factory=Data)
    split: Split = field(default_factory=Split)
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    loss: Loss = field(default_factory=Loss)
    augmentation: Augmentation = field(default_factory=Augmentation)


# Section of the file -> its class; the fields of Course stand at the top.
SECTIONS: dict[str, type] = {
    "data": Data,
    "split": Split,
    "optimizer": Optimizer,
    "schedule": Schedule,
    "loss": Loss,
    "augmentation": Augmentation,
}
