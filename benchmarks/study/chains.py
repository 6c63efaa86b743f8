"""The chains that the study compares, from single stages to shipped pipelines."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import MappingProxyType

from bgkit.pipeline import Pipeline
from bgkit.pipelinefile import load_pipeline, read_pipeline

__all__ = ["ALONE", "BEST", "CHAINS", "DEEP", "JOINED", "KEY", "MDF", "RCNN", "SHIPPED", "STEPS", "chain"]

KEY, DEEP = "luv_threshold", "cnn_mask"  # the two that are joined
ABSTAINING = "luv_threshold: {plain: 0.65}"  # 0.5 everywhere, which says nothing, where the border is not plain
CRF = "dense_crf: {color_std: 4, bilateral_weight: 4, reference: 320, scale_by: subject, resolution: 800}"
MATTING = ("make_trimap", "closed_form_matting")
BEST = "odds, key where plain"

MDF, RCNN = "region_saliency", "region_saliency, R-CNN"

ALONE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **{name: (name,) for name in (KEY, "grabcut", "saliency", MDF)},
        RCNN: ("region_saliency: {method: rcnn}",),
        DEEP: (DEEP,),
    }
)
JOINED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **{merge: (KEY, f"cnn_mask: {{merge: {merge}}}") for merge in ("min", "max", "product", "mean", "odds")},
        **{f"{merge}, key where plain": (ABSTAINING, f"cnn_mask: {{merge: {merge}}}") for merge in ("mean", "odds")},
    }
)
STEPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "then dense_crf": (*JOINED[BEST], CRF),
        "then matting": (*JOINED[BEST], *MATTING),
        "then dense_crf, matting": (*JOINED[BEST], CRF, *MATTING),
    }
)
SHIPPED = ("classical", "deep", "auto")

CHAINS: Mapping[str, tuple[str, ...] | None] = MappingProxyType({**ALONE, **JOINED, **STEPS, **dict.fromkeys(SHIPPED)})


@functools.cache
def chain(name: str) -> Pipeline:
    """Return a chain of the study, ready to run."""
    steps = CHAINS[name]
    if steps is None:
        return load_pipeline(name)
    return read_pipeline("bgkit: 1\nstages:\n" + "".join(f"  - {step}\n" for step in steps), name)
