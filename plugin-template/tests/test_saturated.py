"""The stage keeps what every stage promises, and does what it is for."""

import numpy as np

import bgkit
from bgkit.testing import check_stage, draw_disk


def test_contract():
    """Documented, checked ranges, read-only input, same bits for any number of threads, any size of picture."""
    check_stage("saturated")


def test_a_red_disk_on_gray():
    """The disk is found, and nothing else."""
    image, alpha = draw_disk()
    assert abs(bgkit.stages.saturated(image) - alpha).mean() < 0.02


def test_in_a_pipeline(tmp_path):
    """Pipelines know it by its name."""
    chain = tmp_path / "chain.yaml"
    chain.write_text("bgkit: 1\nstages: [saturated: {least: 0.4}, composite: {background: none}]")
    image, alpha = draw_disk()
    cut = bgkit.remove(image, chain)
    assert np.abs(cut.alpha - alpha).mean() < 0.02
