"""Mask R-CNN: objects, each with a box, a class, a score and a mask (He, Gkioxari, Dollár, Girshick 2017).

The network in words, with the feature pyramid of Lin et al. 2017 on ResNet-50. The maps of ResNet's four stages are
brought to 256 channels by 1x1 convolutions, each is added to the next coarser one doubled in size, and a 3x3
convolution makes P2 to P5 of the sums, at strides 4 to 32; P6 is P5 at every second place. At every place of every
level stand three *anchors*, boxes of one size (32 px at P2, doubling to 512 px at P6) and three shapes. The *region
proposal network* (Ren et al. 2015), a 3x3 convolution and two 1x1 ones, says of each how likely it holds an object and
how to move and stretch it to fit. The best 1000, without near duplicates, are the proposals. *RoIAlign* takes what a
proposal shows from the level of its size (equation 1 of Lin et al.): bilinear samples at four places in each of 7x7
bins, averaged, with no coordinate rounded. From it two layers of 1024 tell the class, and the box once more. The best
100 objects, again without near duplicates, are looked at in 14x14 bins by the *mask head*: four 3x3 convolutions, one
transposed to 28x28, and a mask for each class, of which that of the object's class counts.

Training minimizes the sum of five losses, equally weighted: objectness and box of 256 sampled anchors, class and box of
512 sampled proposals, a quarter of them on objects, and cross entropy of the masks on objects, each mask by itself,
without competition between classes. What an object is here: a connected piece of the truth. So people who touch
are one, and the foreground, which is all that the mask of a picture asks for, is the same.

Three things differ from the paper. Batch normalization is trained, because there are no weights to begin with whose
statistics could be kept. The true masks are not rounded to 0 and 1 where they are cropped. All numbers are fixed (boxes
that do not exist have the score 0), so that the graph of an exported file has shapes that are known beforehand.

References
----------
K. He, G. Gkioxari, P. Dollár, R. Girshick, "Mask R-CNN", ICCV 2017.
T.-Y. Lin, P. Dollár, R. Girshick, K. He, B. Hariharan, S. Belongie, "Feature pyramid networks for object detection",
CVPR 2017. S. Ren, K. He, R. Girshick, J. Sun, "Faster R-CNN", NIPS 2015.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bgkit.train.networks.blocks import initialize
from bgkit.train.networks.resnet import ResNet

__all__ = ["MaskRCNN"]

SHAPES = (0.5, 1.0, 2.0)  # of anchors: rows by columns
SMALLEST = 32  # px, the side of P2's anchors
CANONICAL = 224  # px, the side of a box that is looked at in P4
LEVELS = 4  # P2 to P5, which RoIAlign takes from
ANCHORS_SEEN = 256  # in training, of each picture
SURE, UNSURE = 0.7, 0.3  # IoU from which an anchor is an object's, and below which it is background
FOREGROUND = 0.5  # the same of a proposal
DUPLICATE, SAME_OBJECT = 0.7, 0.5  # IoU above which the lesser of two proposals, of two objects is dropped
PROPOSAL_STEPS, BOX_STEPS = (1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0)  # what a box's four numbers are multiplied by
LARGEST_GROWTH = math.log(1000 / 16)  # keeps a box finite while weights are random
LEAST = 0.001  # of the picture: smaller pieces of a truth are no objects
SCORE = 0.5  # what an object needs to be foreground


class MaskRCNN(nn.Module):
    """Objects, and the foreground that they cover together.

    Parameters
    ----------
    classes : int
        Background among them; 2 is a subject and its background, which is what training here teaches.
    width : int
        Channels of the base's first stage, 64 in the paper.
    pyramid : int
        Channels of the feature pyramid and of the mask head.
    hidden : int
        Width of the two layers that tell class and box.
    proposals : int
        Boxes looked at in evaluation; in training twice as many are sampled from. Few are enough for few subjects, and
        most of the work goes with their number.
    sampled : int
        Proposals of each picture that a training step learns from.
    objects : int
        The most that a picture may hold.

    Notes
    -----
    ``forward`` maps (N, 3, H, W), H and W multiples of 32, to the foreground (N, 1, H, W) in evaluation: at each pixel
    the largest mask of the objects that score at least 0.5. In training it gives what ``loss`` needs: P2 to P5, then
    objectness (N, 3, h, w) and box steps (N, 12, h, w) of P2 to P6. ``detect`` gives the objects themselves.
    """

    def __init__(
        self,
        classes: int = 2,
        *,
        width: int = 64,
        pyramid: int = 256,
        hidden: int = 1024,
        proposals: int = 1000,
        sampled: int = 512,
        objects: int = 100,
    ) -> None:
        super().__init__()
        self.classes, self.proposals, self.sampled, self.objects = classes, proposals, sampled, objects
        self.base = ResNet(50, width=width)
        self.pyramid = _Pyramid(self.base.channels[1:], pyramid)
        self.propose = _ProposalHead(pyramid)
        self.boxes = _BoxHead(pyramid, hidden, classes)
        self.masks = _MaskHead(pyramid, classes)

    def forward(self, image: Tensor) -> list[Tensor] | Tensor:
        if not self.training:
            return self.paste(*self.detect(image), image.shape[2:])
        maps = self.pyramid(self.base(image)[1:])
        scores, steps = self.propose(maps)
        return [*maps[:LEVELS], *scores, *steps]

    def detect(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the objects of each picture, best first.

        Returns
        -------
        tuple of Tensor
            Boxes (N, D, 4) as left, top, right, bottom in pixels of the input; classes (N, D), from 1; scores (N, D),
            0..1, 0 where there is no object; masks (N, D, 28, 28), 0..1, each over its box.
        """
        size = image.shape[2:]
        maps = self.pyramid(self.base(image)[1:])
        scores, steps = self.propose(maps)
        found, _ = self._proposals(scores, steps, size, self.proposals)
        logits, moves = self.boxes(_align(maps[:LEVELS], found, 7, size).flatten(0, 1))
        pictures, count = found.shape[:2]
        chances = torch.softmax(logits, 1).view(pictures, count, self.classes)[..., 1:].transpose(1, 2)
        moves = moves.view(pictures, count, self.classes, 4)[:, :, 1:].transpose(1, 2)
        boxes = _clip(_moved(found[:, None], moves, BOX_STEPS), size)  # (N, classes - 1, R, 4)
        chances = chances * (_area(boxes) > 0)
        chances, order = torch.topk(chances.flatten(0, 1), count)  # sorted, each class by itself
        boxes = _taken(boxes.flatten(0, 1), order)
        chances = chances * _keep(boxes, chances, SAME_OBJECT)
        most = min(self.objects, (self.classes - 1) * count)
        scored, best = torch.topk(chances.view(pictures, -1), most)
        boxes = _taken(boxes.view(pictures, -1, 4), best)
        labels = torch.div(best, count, rounding_mode="floor") + 1
        masks = torch.sigmoid(self.masks(_align(maps[:LEVELS], boxes, 14, size).flatten(0, 1)))
        masks = masks.view(pictures, most, self.classes, *masks.shape[2:])
        place = labels[..., None, None, None].expand(-1, -1, 1, *masks.shape[3:])
        return boxes, labels, scored, masks.gather(2, place)[:, :, 0]

    def paste(
        self, boxes: Tensor, labels: Tensor, scores: Tensor, masks: Tensor, size: Sequence[int], least: float = SCORE
    ) -> Tensor:
        """Return the foreground (N, 1, H, W): at each pixel the largest mask of what scores at least ``least``."""
        rows, cols = (torch.arange(side, device=boxes.device) + 0.5 for side in size)
        found = masks.new_zeros(len(masks), *size)
        for box, score, mask in zip(boxes.unbind(1), scores.unbind(1), masks.unbind(1), strict=True):
            left, top, right, bottom = (each[:, None] for each in box.unbind(1))
            across, down = (
                2 * (places - start) / (end - start).clamp_min(1e-6) - 1
                for places, start, end in ((cols, left, right), (rows, top, bottom))
            )
            grid = torch.stack(torch.broadcast_tensors(across[:, None], down[:, :, None]), 3)
            pasted = F.grid_sample(mask[:, None], grid, padding_mode="border", align_corners=False)[:, 0]
            inside = _touched(cols, left, right)[:, None] & _touched(rows, top, bottom)[:, :, None]
            found = torch.maximum(found, pasted * (inside & (score >= least)[:, None, None]))
        return found[:, None]

    def loss(self, outputs: Sequence[Tensor], truth: Tensor, image: Tensor) -> Tensor:
        """Losses of anchors, proposals and masks (section 3 of the paper), the mean over the pictures."""
        maps, scores, steps = (
            [each.float() for each in part]
            for part in (outputs[:LEVELS], outputs[LEVELS : 2 * LEVELS + 1], outputs[2 * LEVELS + 1 :])
        )
        size = truth.shape[2:]
        anchors = torch.cat(_anchors(scores, size))
        flat_scores, flat_steps = (
            torch.cat([_flat(each, number) for each in part], 1) for part, number in ((scores, 1), (steps, 4))
        )
        with torch.no_grad():
            found, existing = self._proposals(scores, steps, size, 2 * self.proposals)
        total = truth.new_zeros(())
        for number, one in enumerate(truth):
            boxes, masks = _objects(one[0])
            total = total + _anchor_loss(anchors, flat_scores[number, :, 0], flat_steps[number], boxes)
            proposals = torch.cat([found[number][existing[number]], boxes])
            levels = [each[number : number + 1] for each in maps]
            total = total + self._object_loss(levels, proposals, boxes, masks, size)
        return total / len(truth)

    def _object_loss(
        self, maps: list[Tensor], proposals: Tensor, boxes: Tensor, masks: Tensor, size: Sequence[int]
    ) -> Tensor:
        """Class and box of sampled proposals, and the masks of those on objects."""
        overlap, match = _best(proposals, boxes)
        on, off = _sample(overlap >= FOREGROUND, overlap < FOREGROUND, self.sampled, share=0.25)
        chosen = torch.cat([on, off])
        logits, moves = self.boxes(_align_each(maps, proposals[chosen], 7, size))
        labels = torch.cat([torch.ones_like(on), torch.zeros_like(off)])
        total = F.cross_entropy(logits, labels)
        if not len(on):
            return total
        hit, target = proposals[on], boxes[match[on]]
        moves = moves[: len(on)].view(len(on), self.classes, 4)[:, 1]
        total = total + F.smooth_l1_loss(moves, _steps(hit, target, BOX_STEPS), reduction="sum") / len(chosen)
        drawn = self.masks(_align_each(maps, hit, 14, size))[:, 1]
        wanted = F.grid_sample(masks[match[on]][:, None], _grid(hit, drawn.shape[-1], size), align_corners=False)[:, 0]
        return total + F.binary_cross_entropy_with_logits(drawn, wanted)

    def _proposals(
        self, scores: Sequence[Tensor], steps: Sequence[Tensor], size: Sequence[int], most: int
    ) -> tuple[Tensor, Tensor]:
        """Return the best boxes (N, R, 4) of all levels, and which of them exist; the others are empty."""
        boxes, chances = [], []
        for anchors, score, step in zip(_anchors(scores, size), scores, steps, strict=True):
            chance = torch.sigmoid(_flat(score.float(), 1)[..., 0])
            chance, order = torch.topk(chance, min(most, chance.shape[1]))
            moved = _moved(
                _taken(anchors[None].expand(len(order), -1, -1), order),
                _taken(_flat(step.float(), 4), order),
                PROPOSAL_STEPS,
            )
            moved = _clip(moved, size)
            chances.append(chance * _keep(moved, chance, DUPLICATE) * (_area(moved) > 0))
            boxes.append(moved)
        together = torch.cat(chances, 1)
        best, order = torch.topk(together, min(most, together.shape[1]))
        return _taken(torch.cat(boxes, 1), order) * (best > 0)[..., None], best > 0


class _Pyramid(nn.Module):
    """Lin et al. 2017, figure 3: coarse maps doubled and added to finer ones."""

    def __init__(self, inputs: Sequence[int], width: int) -> None:
        super().__init__()
        self.across = nn.ModuleList([nn.Conv2d(channels, width, 1) for channels in inputs])
        self.smooth = nn.ModuleList([nn.Conv2d(width, width, 3, padding=1) for _ in inputs])
        for layer in (*self.across, *self.smooth):  # no ReLU follows, so each keeps the size of signals
            nn.init.kaiming_uniform_(layer.weight, a=1)
            nn.init.zeros_(layer.bias)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        sums = [across(each) for across, each in zip(self.across, maps, strict=True)]
        for level in reversed(range(len(sums) - 1)):
            sums[level] = sums[level] + F.interpolate(sums[level + 1], scale_factor=2.0, mode="nearest")
        made = [smooth(each) for smooth, each in zip(self.smooth, sums, strict=True)]
        return [*made, F.max_pool2d(made[-1], 1, 2)]


class _ProposalHead(nn.Module):
    """The region proposal network: of each anchor, how likely it holds an object, and four steps to fit it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.look = nn.Conv2d(width, width, 3, padding=1)
        self.score, self.step = nn.Conv2d(width, len(SHAPES), 1), nn.Conv2d(width, 4 * len(SHAPES), 1)
        for layer in (self.look, self.score, self.step):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)

    def forward(self, maps: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        seen = [F.relu(self.look(each)) for each in maps]
        return [self.score(each) for each in seen], [self.step(each) for each in seen]


class _BoxHead(nn.Module):
    """Two layers, then a score for each class and four steps for the box of each."""

    def __init__(self, width: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(49 * width, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()
        )
        self.score, self.step = nn.Linear(hidden, classes), nn.Linear(hidden, 4 * classes)
        nn.init.normal_(self.score.weight, std=0.01)
        nn.init.normal_(self.step.weight, std=0.001)
        for layer in (self.score, self.step):
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.layers(x)
        return self.score(x), self.step(x)


class _MaskHead(nn.Module):
    """Four 3x3 convolutions, one transposed that doubles the size, and a mask for each class (fig. 4, right)."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(4):
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(width, width, 2, 2), nn.ReLU())
        self.draw = nn.Conv2d(width, classes, 1)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.draw(self.layers(x))


def _objects(truth: Tensor) -> tuple[Tensor, Tensor]:
    """Return boxes (G, 4) and masks (G, H, W) of the connected pieces of a truth (H, W)."""
    hard = (truth.detach().cpu().numpy() >= 0.5).astype(np.uint8)
    count, labels, facts, _ = cv2.connectedComponentsWithStats(hard, connectivity=8)
    kept = [number for number in range(1, count) if facts[number, cv2.CC_STAT_AREA] >= LEAST * hard.size]
    left, top, width, height = (facts[kept, which] for which in range(4))
    boxes = torch.from_numpy(np.stack([left, top, left + width, top + height], 1)).to(truth)
    masks = torch.from_numpy(np.stack([labels == number for number in kept])) if kept else torch.zeros(0, *truth.shape)
    return boxes, masks.to(truth)


def _anchor_loss(anchors: Tensor, scores: Tensor, steps: Tensor, boxes: Tensor) -> Tensor:
    """Objectness and box of sampled anchors (Ren et al. 2015, equation 1).

    An object's are those that cover it well, and in any case those that cover it best.
    """
    overlap, match = _best(anchors, boxes)
    on = overlap >= SURE
    if len(boxes):
        overlaps = _iou(anchors, boxes)
        on = on | (overlaps == overlaps.max(0).values).any(1) & (overlap > 0)
    hits, misses = _sample(on, (overlap < UNSURE) & ~on, ANCHORS_SEEN, share=0.5)
    chosen = torch.cat([hits, misses])
    target = torch.zeros_like(scores[chosen])
    target[: len(hits)] = 1
    total = F.binary_cross_entropy_with_logits(scores[chosen], target)
    if not len(hits):
        return total
    wanted = _steps(anchors[hits], boxes[match[hits]], PROPOSAL_STEPS)
    return total + F.smooth_l1_loss(steps[hits], wanted, reduction="sum", beta=1 / 9) / len(chosen)


def _best(boxes: Tensor, objects: Tensor) -> tuple[Tensor, Tensor]:
    """Return the largest IoU of each box with an object, 0 where there is none, and with which."""
    if not len(objects):
        return boxes.new_zeros(len(boxes)), torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device)
    overlap, match = _iou(boxes, objects).max(1)
    return overlap, match


def _sample(on: Tensor, off: Tensor, most: int, *, share: float) -> tuple[Tensor, Tensor]:
    """Draw numbers of boxes on objects, at most a share of ``most``, and of boxes on background for the rest."""
    hits, misses = (mask.nonzero()[:, 0] for mask in (on, off))
    hits = hits[torch.randperm(len(hits), device=hits.device)[: int(share * most)]]
    misses = misses[torch.randperm(len(misses), device=misses.device)[: most - len(hits)]]
    return hits, misses


def _anchors(maps: Sequence[Tensor], size: Sequence[int]) -> list[Tensor]:
    """Return the anchors of each level, (h w 3, 4), in the order of :func:`_flat`."""
    levels = []
    for level, each in enumerate(maps):
        rows, cols = (  # whole numbers of Python's: constants in an exported file
            (torch.arange(int(count), dtype=torch.float32, device=each.device) + 0.5) * (4 << level)
            for count in each.shape[2:]
        )
        side = SMALLEST << level
        shapes = torch.tensor([[side / shape**0.5, side * shape**0.5] for shape in SHAPES], device=each.device) / 2
        middle = torch.stack(torch.broadcast_tensors(cols, rows[:, None]), 2)[:, :, None]
        levels.append(torch.cat([middle - shapes, middle + shapes], 3).reshape(-1, 4))
    return levels


def _flat(x: Tensor, values: int) -> Tensor:
    """Bring (N, 3 values, h, w) to (N, h w 3, values)."""
    pictures, _, rows, cols = x.shape
    return x.reshape(pictures, len(SHAPES), values, rows, cols).permute(0, 3, 4, 1, 2).reshape(pictures, -1, values)


def _taken(x: Tensor, order: Tensor) -> Tensor:
    """Take the rows ``order`` (N, K) of ``x`` (N, R, C)."""
    return x.gather(1, order[..., None].expand(-1, -1, x.shape[2]))


def _moved(boxes: Tensor, steps: Tensor, factors: Sequence[float]) -> Tensor:
    """Move boxes by steps: the middle in parts of the box, the sides by factors whose logarithm is given."""
    start, end = boxes[..., :2], boxes[..., 2:]
    size, by = end - start, steps / steps.new_tensor(factors)
    middle = (start + end) / 2 + by[..., :2] * size
    half = size * torch.exp(by[..., 2:].clamp(max=LARGEST_GROWTH)) / 2
    return torch.cat([middle - half, middle + half], -1)


def _steps(boxes: Tensor, targets: Tensor, factors: Sequence[float]) -> Tensor:
    """Return the steps that :func:`_moved` needs to bring boxes to targets."""
    size, wanted = boxes[:, 2:] - boxes[:, :2], targets[:, 2:] - targets[:, :2]
    away = (targets[:, :2] + targets[:, 2:] - boxes[:, :2] - boxes[:, 2:]) / 2
    return torch.cat([away / size, torch.log(wanted / size)], 1) * boxes.new_tensor(factors)


def _clip(boxes: Tensor, size: Sequence[int]) -> Tensor:
    rows, cols = size
    return torch.minimum(boxes.clamp(min=0), boxes.new_tensor([cols, rows, cols, rows]))


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2] - boxes[..., 0]).clamp(min=0) * (boxes[..., 3] - boxes[..., 1]).clamp(min=0)


def _iou(one: Tensor, other: Tensor) -> Tensor:
    """Return intersection over union of boxes (..., K, 4) and (..., G, 4), (..., K, G)."""
    start = torch.maximum(one[..., :, None, :2], other[..., None, :, :2])
    end = torch.minimum(one[..., :, None, 2:], other[..., None, :, 2:])
    both = (end - start).clamp(min=0).prod(-1)
    return both / (_area(one)[..., :, None] + _area(other)[..., None, :] - both).clamp(min=1e-9)


def _touched(places: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Say which pixels, by their middles, a stretch from ``start`` to ``end`` covers at least in part."""
    return (places > torch.floor(start)) & (places < torch.ceil(end))


def _grid(boxes: Tensor, side: int, size: Sequence[int]) -> Tensor:
    """Return the middles of ``side`` x ``side`` bins of boxes (R, 4), (R, side, side, 2), as ``grid_sample`` counts."""
    share = (torch.arange(side, device=boxes.device) + 0.5) / side
    start, end = boxes[:, None, :2], boxes[:, None, 2:]
    places = 2 * (start + share[:, None] * (end - start)) / boxes.new_tensor([size[1], size[0]]) - 1  # (R, side, 2)
    return torch.stack(torch.broadcast_tensors(places[:, None, :, 0], places[:, :, None, 1]), 3)


def _align(maps: Sequence[Tensor], boxes: Tensor, side: int, size: Sequence[int]) -> Tensor:
    """RoIAlign: what boxes (N, R, 4) show, (N, R, C, side, side), each from the level of its size.

    Every level is asked about every box, and one answer taken: four times the work, in shapes that are known.
    """
    level = _level(boxes)
    exported = torch.onnx.is_in_onnx_export()
    answer = boxes.new_zeros(())
    for number, each in enumerate(maps):
        seen = _RoIAlign.apply(each, boxes, side, size) if exported else _sampled(each, boxes, side, size)
        answer = torch.where((level == number)[..., None, None, None], seen, answer)
    return answer


def _align_each(maps: Sequence[Tensor], boxes: Tensor, side: int, size: Sequence[int]) -> Tensor:
    """The same for the boxes (R, 4) of one picture, (R, C, side, side), asking one level about each, as training does.

    Gradients cost most of a step, and a quarter of them this way.
    """
    level = _level(boxes)
    places = [(level == number).nonzero()[:, 0] for number in range(LEVELS)]
    seen = [_sampled(x, boxes[where][None], side, size)[0] for x, where in zip(maps, places, strict=True) if len(where)]
    return torch.cat(seen)[torch.argsort(torch.cat(places))]


def _level(boxes: Tensor) -> Tensor:
    """Return the level of each box: P4 for those of 224 px, finer ones for smaller (Lin et al. 2017, equation 1)."""
    return torch.floor(2 + torch.log2(_area(boxes).sqrt() / CANONICAL + 1e-6)).clamp(0, LEVELS - 1)


def _sampled(x: Tensor, boxes: Tensor, side: int, size: Sequence[int]) -> Tensor:
    """Average four bilinear samples in each of ``side`` x ``side`` bins of boxes (N, R, 4) of a map (N, C, h, w)."""
    pictures, count = boxes.shape[:2]
    grid = _grid(boxes.flatten(0, 1), 2 * side, size).view(pictures, count * 2 * side, 2 * side, 2)
    seen = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
    return F.avg_pool2d(seen, 2).view(pictures, -1, count, side, side).transpose(1, 2)


def _keep(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """Say (1 or 0) which boxes (N, K, 4), best first, overlap no better one that is kept by more than ``threshold``."""
    return _NonMaximum.apply(boxes, scores, threshold)


class _NonMaximum(torch.autograd.Function):
    """Greedy suppression of duplicates; in an exported file ONNX's NonMaxSuppression."""

    @staticmethod
    def forward(ctx: Any, boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
        # Whether a box is kept depends on the better ones alone. From "all are kept", each round settles at least one
        # more, so that the rounds end at the greedy answer, after as many as the longest chain of neighbors.
        better = torch.ones(boxes.shape[1], boxes.shape[1], dtype=torch.bool, device=boxes.device).triu(1)
        covers = (_iou(boxes, boxes) > threshold) & better
        keep = torch.ones_like(scores, dtype=torch.bool)
        while True:
            again = ~(covers & keep[:, :, None]).any(1)
            if again.is_meta or torch.equal(again, keep):
                return again.to(scores.dtype)
            keep = again

    @staticmethod
    def symbolic(g: Any, boxes: Any, scores: Any, threshold: float) -> Any:
        def whole(values: Sequence[int]) -> Any:
            return g.op("Constant", value_t=torch.tensor(values, dtype=torch.int64))

        most = whole([2**31 - 1])
        least = g.op("Constant", value_t=torch.tensor([threshold]))
        picked = g.op("NonMaxSuppression", boxes, g.op("Unsqueeze", scores, whole([1])), most, least)
        where = g.op("Gather", picked, whole([0, 2]), axis_i=1)  # (picture, class 0, box) without the class
        count = g.op("Slice", g.op("Shape", where), whole([0]), whole([1]))
        ones = g.op("ConstantOfShape", count, value_t=torch.ones(1))
        none = g.op("ConstantOfShape", g.op("Shape", scores), value_t=torch.zeros(1))
        return g.op("ScatterND", none, where, ones).setType(scores.type())


class _RoIAlign(torch.autograd.Function):
    """:func:`_sampled` as one operator of ONNX."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, boxes: Tensor, side: int, size: Sequence[int]) -> Tensor:
        return _sampled(x, boxes, side, size)

    @staticmethod
    def symbolic(g: Any, x: Any, boxes: Any, side: int, size: Sequence[int]) -> Any:
        pictures, count = boxes.type().sizes()[:2]
        channels, rows = x.type().sizes()[1:3]

        def whole(values: Sequence[int]) -> Any:
            return g.op("Constant", value_t=torch.tensor(values, dtype=torch.int64))

        seen = g.op(
            "RoiAlign",
            x,
            g.op("Reshape", boxes, whole([-1, 4])),
            whole([picture for picture in range(pictures) for _ in range(count)]),
            output_height_i=side,
            output_width_i=side,
            sampling_ratio_i=2,
            spatial_scale_f=rows / size[0],
            mode_s="avg",
            coordinate_transformation_mode_s="half_pixel",
        )
        return g.op("Reshape", seen, whole([pictures, count, channels, side, side]))
