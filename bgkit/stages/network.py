"""A mask by a network: any ONNX file that has a card.

The network sees the whole picture at the size it was trained for and answers with a small map of
how likely each place is foreground, brought back to the picture's size. Values go in as sRGB, as
networks are trained; what its card says is done and nothing else, so a scene without a subject may
well come back as an empty mask. The cost is the network's: the embedded one takes
about 20 ms for a picture of any size.
"""

from __future__ import annotations

from typing import Annotated, Literal

from bgkit.layers import Array
from bgkit.models import KnownModel
from bgkit.models.session import network
from bgkit.stage import note, stage

__all__ = ["cnn_mask"]

Provider = Literal["cpu", "cuda", "tensorrt", "rocm", "migraphx", "openvino", "coreml", "directml"]


@stage(gives="mask")
def cnn_mask(
    image: Array,
    plate: Array | None = None,
    *,
    model: Annotated[str, KnownModel("mask")] = "coarse",
    provider: Provider = "cpu",
) -> Array:
    """Mark the subject by a neural network.

    Parameters
    ----------
    image : ndarray of shape (M, N, 3)
        sRGB, 0..1.
    plate : ndarray of shape (M, N, 3), optional
        The empty scene, for networks whose card asks for it (BackgroundMattingV2); others ignore it.
    model : str
        A network's name, as ``bgkit models list`` shows them, or the path of an ONNX file. The card
        of a file is the TOML file of the same name beside it; without one, what the graph tells is
        used and the rest assumed, with a warning that says what.
    provider : str
        What ONNX Runtime runs it on. One that is not there is an error, never a silent fall-back.

    Returns
    -------
    ndarray of shape (M, N)
        Probability of foreground, float32, 0..1.

    Raises
    ------
    ModelError
        If the network is unknown, not fetched yet, damaged or not what its card says, if it needs a plate
        and there is none, or if the provider is absent.

    Notes
    -----
    The run's facts record the network's name, the SHA-256 of its file, its license and the provider.

    Examples
    --------
    >>> import numpy as np
    >>> cnn_mask(np.zeros((2, 3, 3), np.float32)).shape
    (2, 3)
    """
    chosen = network(model, provider=provider)
    note(**chosen.facts)
    layers = {"image": image} if plate is None else {"image": image, "plate": plate}
    return chosen.run(layers)
