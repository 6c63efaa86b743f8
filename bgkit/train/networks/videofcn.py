"""Video saliency by fully convolutional networks: one for a still, one for two frames (Wang, Shen, Shao 2018).

The paper in words: a *static* network marks what stands out in one frame; a *dynamic* network of the same build sees
that answer stacked on the frame and the next one (seven channels) and marks what stands out in the film. No optical
flow is computed: motion is learned from pairs of frames.

Either network: VGG-16's five groups of convolutions, without the last maximum. A 3x3 convolution scores the fifth
group's map, at stride 16. That answer, a probability, is doubled by repetition and stands beside 64 channels made of
the fourth group's map by a 3x3 convolution with a sigmoid; a 3x3 convolution of both scores at stride 8. The same with
the third group's map gives the answer at stride 4. Training supervises all three.

The loss is a cross entropy in which subject and ground weigh alike whatever their areas: with a the share of subject
in a picture, - (1 - a) g log p - a (1 - g) log (1 - p).

Films with true masks are few, so the paper makes them of stills: subject and scene move, each by itself
(:mod:`bgkit.train.moving`). What is handed in as the static answer in training is here the truth, spoiled as masks of
networks are (:mod:`bgkit.train.extra_inputs`).

What differs. The paper draws a stack of deconvolutions in front of the answer; the layers here are those of the
authors' released program. Answers are logits, enlarged four times, bilinearly, in evaluation. The share of subject is
kept within 0.05..0.95, for without subject this loss is nothing. The authors' program holds no training, and the
paper's full text was not at hand: the loss is the balanced cross entropy of Xie and Tu (2015), which may differ from
the paper's equation. The weights begin random, not as ImageNet's. A mask goes in as -1..1, about as large as
normalized pictures are; the authors' program hands it in as 0..255 beside pictures less their mean.

References
----------
W. Wang, J. Shen, L. Shao, "Video salient object detection via fully convolutional networks", IEEE TIP 27(1), 2018
(first 2017). S. Xie, Z. Tu, "Holistically-nested edge detection", ICCV 2015, equation 2.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bgkit.train.networks.vgg import VGG16

__all__ = ["VideoFCN"]


class VideoFCN(nn.Module):
    """Logits of what stands out, in a still or in two frames of a film.

    Parameters
    ----------
    dynamic : bool
        Whether it sees two frames and the first one's static answer, or one frame.
    width : int
        Channels of VGG-16's first group and of the side maps, 64 in the paper.

    Notes
    -----
    ``forward`` maps pictures (N, 3, H, W), H and W multiples of 16, and a mask (N, 1, H, W), 0..1, to three
    (N, 1, h, w) in training, at strides 4, 8 and 16, and to the first of them at full size in evaluation.
    """

    def __init__(self, dynamic: bool = True, width: int = 64) -> None:
        super().__init__()
        self.dynamic = dynamic
        self.base = VGG16(width, 7 if dynamic else 3)
        _, _, third, fourth, fifth = self.base.channels
        self.score16 = nn.Conv2d(fifth, 1, 3, padding=1)
        self.side8, self.score8 = nn.Conv2d(fourth, width, 3, padding=1), nn.Conv2d(width + 1, 1, 3, padding=1)
        self.side4, self.score4 = nn.Conv2d(third, width, 3, padding=1), nn.Conv2d(width + 1, 1, 3, padding=1)

    def forward(self, image: Tensor, *others: Tensor) -> list[Tensor] | Tensor:
        if self.dynamic:
            following, mask = others
            image = torch.cat([image, following, 2 * mask - 1], 1)
        _, _, third, fourth, fifth = self.base(image)
        at16 = self.score16(fifth)
        at8 = self.score8(torch.cat([torch.sigmoid(self.side8(fourth)), _passed(at16)], 1))
        at4 = self.score4(torch.cat([torch.sigmoid(self.side4(third)), _passed(at8)], 1))
        if self.training:
            return [at4, at8, at16]
        return F.interpolate(at4, scale_factor=4.0, mode="bilinear", align_corners=False)

    def loss(self, outputs: Sequence[Tensor], truth: Tensor, image: Tensor) -> Tensor:
        """The sum over the three answers of a cross entropy in which subject and ground weigh alike."""
        del image
        share = truth.mean((1, 2, 3), keepdim=True).clamp(0.05, 0.95)
        total = truth.new_zeros(())
        for output in outputs:
            logits = output.float()
            target = F.adaptive_avg_pool2d(truth, logits.shape[2:])
            subject = (1 - share) * target * F.softplus(-logits)
            ground = share * (1 - target) * F.softplus(logits)
            total = total + (subject + ground).mean()
        return total


def _passed(logits: Tensor) -> Tensor:
    """What a coarser answer hands on: probabilities, doubled by repetition."""
    return F.interpolate(torch.sigmoid(logits), scale_factor=2.0, mode="nearest")
