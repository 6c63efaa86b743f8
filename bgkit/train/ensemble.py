"""Several networks as one (Hansen and Salamon 1990): where one is wrong, the others seldom are in the same way."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bgkit.train.networks import Entry
from bgkit.train.scoring import answer

__all__ = ["Ensemble"]


class Ensemble(nn.Module):
    """The mean of several networks' answers.

    With ``mirror`` every second network sees the mirror image, and its answer is turned back: where pictures were
    mirrored in training, that is another view as good as the first, for no more work.

    Input: what each network's entry names, (N, C, H, W) each. Output: answers of shape (N, 1, H, W), 0..1, that need no
    further activation. Only for evaluation; each of the networks is trained by itself.
    """

    def __init__(self, networks: Sequence[tuple[nn.Module, Entry]], *, mirror: bool) -> None:
        super().__init__()
        self.networks = nn.ModuleList([network for network, _ in networks])
        self.entries = [entry for _, entry in networks]
        self.mirror = mirror

    def forward(self, *inputs: Tensor) -> Tensor:
        turned = tuple(torch.flip(each, [3]) for each in inputs)
        answers = []
        for place, (network, entry) in enumerate(zip(self.networks, self.entries, strict=True)):
            if self.mirror and place % 2:
                answers.append(torch.flip(answer(network, entry, turned), [3]))
            else:
                answers.append(answer(network, entry, inputs))
        return torch.stack(answers).mean(0)
