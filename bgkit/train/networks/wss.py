"""WSS: salient objects from tags of whole pictures (Wang, Lu, Wang, Feng, Wang, Yin, Ruan 2017).

The paper in words, two stages. In the first, no mask is seen. A *foreground inference network* draws a map of what may
be subject, and a classifier says what the picture shows from VGG-16's deepest features *inside that map*: to name the
subject it has to be marked. A penalty on the map's area keeps it from marking everything. What the classifier finds at
each place becomes one number for the picture by *global smooth pooling*, between the mean, which asks every place, and
the maximum, which asks one. In the second stage the inference network alone is trained on its own maps, brought to the
picture's edges by an iterated CRF (:mod:`bgkit.train.self_training`), with a loss that believes these labels not quite.

The inference network: VGG-16's five groups; the fifth map, normalized, is scored by a 3x3 convolution, doubled by a
transposed convolution to two channels, joined by addition with scores of the fourth group's map, doubled again, joined
with those of the third's, and enlarged four times. Batch normalization and a leaky ReLU (0.01) follow each.

Global smooth pooling is the largest sum of scores s under weights w that are shares (none below 0, together 1), less a
penalty on uneven ones: max over w of w . s - m / 2 |w|^2. The weights are the point of that simplex nearest to s / m
(Duchi et al. 2008), and also the gradient. A small m asks the best place only, a large one all alike.

What differs. The paper's tags are the 200 classes of ImageNet's detection set, on half a million pictures. Here they
are what a training folder has at hand: whether there is a subject, and whether the ground is a texture, which is asked
of what the map leaves out. That is a small stand-in: the map learns what makes pictures with a subject differ from
those without. The last layer has one channel, not two under a softmax. m is a share of the places, so that it serves
all sizes. The authors publish the layers of the inference network, not how it was trained: that the penalties on uneven
weights and on area are a square and a mean, and all three constants below, are choices of ours. The weights begin
random, not as ImageNet's, from which the paper's maps take much of what they know.

References
----------
L. Wang, H. Lu, Y. Wang, M. Feng, D. Wang, B. Yin, X. Ruan, "Learning to detect salient objects with image-level
supervision", CVPR 2017; layers as in the authors' repository. Y. Nesterov, "Smooth minimization of non-smooth
functions", 2005. J. Duchi, S. Shalev-Shwartz, Y. Singer, T. Chandra, "Efficient projections onto the l1-ball", ICML
2008. S. Reed et al., "Training deep neural networks on noisy labels with bootstrapping", 2015.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bgkit.train.augmenting import UNKNOWN_TAG
from bgkit.train.networks.vgg import VGG16

__all__ = ["WSS", "smooth_pooling"]

SMOOTHNESS = 0.05  # m, as a share of the places: some tenth of them is asked
AREA = 0.1  # weight of the penalty on the map's area
BELIEF = 0.95  # in labels of the second stage; the rest goes to the network's own answer


class WSS(nn.Module):
    """Logits of what is subject, learned from tags or from the network's own masks.

    Parameters
    ----------
    learns : {"tags", "masks"}
        The first stage or the second. Both have the same weights, so that the second begins with the first's.
    width : int
        Channels of VGG-16's first group, 64 in the paper; all others follow in proportion.

    Notes
    -----
    ``forward`` maps (N, 3, H, W), H and W multiples of 16, to (N, 1, H, W). In training of the first stage, the logits
    (N, 2, 1, 1) of the tags "a subject" and "a textured ground" come second.
    """

    def __init__(self, learns: Literal["tags", "masks"] = "tags", width: int = 64) -> None:
        super().__init__()
        self.learns = learns
        self.base = VGG16(width)
        _, _, third, fourth, fifth = self.base.channels
        self.base[4][-1] = _leaky(fifth)
        self.score16 = nn.Sequential(nn.Conv2d(fifth, 1, 3, padding=1, bias=False), _leaky(1))
        self.up8, self.score8 = _twice(1), nn.Sequential(nn.Conv2d(fourth, 2, 3, padding=1), _leaky(2))
        self.up4, self.score4 = _twice(2), nn.Sequential(nn.Conv2d(third, 2, 3, padding=1), _leaky(2))
        self.up1 = nn.Sequential(_enlarge(2, 1, 4), nn.BatchNorm2d(1))
        self.classify = nn.Conv2d(fifth, 2, 1)

    def forward(self, image: Tensor) -> list[Tensor] | Tensor:
        _, _, third, fourth, fifth = self.base(image)
        x = self.up8(self.score16(fifth)) + self.score8(fourth)
        x = self.up4(x) + self.score4(third)
        logits = self.up1(x)
        if not self.training:
            return logits
        if self.learns == "masks":
            return [logits]
        inside = F.avg_pool2d(torch.sigmoid(logits.float()), 16)
        found = [self.classify(fifth * share)[:, number] for number, share in enumerate((inside, 1 - inside))]
        return [logits, smooth_pooling(torch.stack(found, 1))[:, :, None, None]]

    def loss(self, outputs: Sequence[Tensor], truth: Tensor, image: Tensor) -> Tensor:
        """Return the tags' cross entropy and the map's area, or the map's cross entropy with labels not quite believed.

        In the second stage a part of each label is the network's own answer (Reed et al. 2015). ``truth`` are tags
        (N, 2, 1, 1), 0, 1 or unknown, or a mask (N, 1, H, W), of which the first stage looks at nothing but whether it
        holds a subject.
        """
        del image
        logits = outputs[0].float()
        if self.learns == "masks":
            label = BELIEF * truth + (1 - BELIEF) * (logits.detach() > 0).float()
            return F.binary_cross_entropy_with_logits(logits, label)
        if truth.shape[1] == 1:
            held = (truth.amax((2, 3), keepdim=True) > 0.5).float()
            truth = torch.cat([held, torch.full_like(held, UNKNOWN_TAG)], 1)
        known = (truth != UNKNOWN_TAG).float()
        tagged = F.binary_cross_entropy_with_logits(outputs[1].float(), truth.clamp_min(0), known, reduction="sum")
        return tagged / known.sum().clamp_min(1) + AREA * torch.sigmoid(logits).mean()


def smooth_pooling(scores: Tensor, smoothness: float = SMOOTHNESS) -> Tensor:
    """Return one number for each map (N, C, H, W): the largest weighted mean, less a penalty on uneven weights.

    ``smoothness`` is m as a share of the places: 0.001 gives nearly the maximum, 10 the mean (less a constant).
    """
    flat = scores.float().flatten(2)
    m = smoothness * flat.shape[2]
    weights = _nearest_shares(flat.detach() / m)
    return (weights * flat).sum(2) - m / 2 * (weights**2).sum(2)


def _nearest_shares(points: Tensor) -> Tensor:
    """Return the nearest points (..., n) whose numbers are none below 0 and sum to 1 (Duchi et al. 2008, figure 1)."""
    falling = points.sort(-1, descending=True).values
    count = torch.arange(1, points.shape[-1] + 1, device=points.device)
    excess = (falling.cumsum(-1) - 1) / count
    held = (falling > excess).sum(-1, keepdim=True)
    return (points - excess.gather(-1, held - 1)).clamp_min(0)


def _leaky(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.LeakyReLU(0.01))


def _twice(inputs: int) -> nn.Sequential:
    return nn.Sequential(_enlarge(inputs, 2, 2), _leaky(2))


def _enlarge(inputs: int, outputs: int, factor: int) -> nn.ConvTranspose2d:
    """A transposed convolution that begins as bilinear interpolation of each channel into each."""
    layer = nn.ConvTranspose2d(inputs, outputs, 2 * factor, factor, padding=factor // 2, bias=False)
    line = 1 - (torch.arange(2 * factor) - (2 * factor - 1) / 2).abs() / factor
    with torch.no_grad():
        layer.weight.copy_(torch.outer(line, line).expand_as(layer.weight))
    return layer
