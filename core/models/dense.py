"""Dense slice networks: a map of the fracture line, and from it the logits of the slice.

The trunk is the localiser's: a backbone and its feature pyramid. What is trained on boxes there
finds lines of a few pixels, which a backbone trained on one label per slice does not.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, Literal, NamedTuple, overload

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.constants import N_VERTEBRAE
from core.models.pyramid import PyramidBackbone, pyramid_spec
from core.models.slice_model import (
    OutputLayer,
    SliceModel,
    last_linear,
    prelu_head,
)

POOLED: Final = "pooled"
"""Key of the trunk's pooled features among its maps."""
SHARPNESS: Final = 2.0
"""Initial sharpness of the pooling of maps."""
OFFSET: Final = 2.0
"""Initial offset of a slice's logit, for the cells of a map that show no line."""
SCORES: Final = 3
"""Scores of a cell at each level; the localiser has as many, one for each anchor."""
GRID: Final = 3
"""Rows and columns in which a slice's features are pooled: a vertebra's level shows in the airway,
the skull and the shoulders around it."""
_ABSENT: Final = 0.01
"""Smallest presence that counts, as one of 0 would have no logarithm."""
_RARE: Final = 0.01
"""Initial probability of a cell, so that the many empty cells do not outweigh the first steps
(Lin et al. 2017, "Focal Loss for Dense Object Detection", section 4.1)."""


class DenseOutputs(NamedTuple):
    """A dense network's outputs on n slices.

    Attributes:
        logits: Float (n, outputs), as of any slice network.
        maps: Float (n, maps, rows, columns), logits of the cells of each map, stride 4.
    """

    logits: Tensor
    maps: Tensor


class DenseTrunk(PyramidBackbone):
    """The localiser's backbone, pyramid and evidence for lines, with pooled features of the slice.

    `evidence` and `scores`, one for all levels, have the shape of the localiser's proposal head,
    from whose weights they start: its scores tell lines from the rest before any training here.

    Args:
        name: A key of `PYRAMIDS`.
        pretrained: Start from torchvision's ImageNet weights.
    """

    def __init__(self, name: str, *, pretrained: bool = False) -> None:
        super().__init__(name, pretrained=pretrained)
        spec = pyramid_spec(name)
        self.pooled_features = sum(spec.channels[-2:]) * GRID**2
        self.evidence = nn.Sequential(nn.Conv2d(spec.width, spec.width, 3, padding=1), nn.ReLU())
        self.scores = nn.Conv2d(spec.width, SCORES, 1)
        nn.init.normal_(self.scores.weight, std=0.01)
        self.scores.bias = nn.Parameter(torch.full((SCORES,), math.log(_RARE / (1 - _RARE))))

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        """Turn normalised images into maps of every level, finest first, and pooled features.

        Returns:
            Float (n, width + SCORES, ., .) by level, evidence and then scores; under `POOLED`,
            (n, pooled_features), the means of the two coarsest stages over a grid.
        """
        stages = self.body(images)
        named: OrderedDict[str, Tensor] = OrderedDict()
        for level, maps in enumerate(list(self.fpn(stages).values())[: self.levels]):
            found = self.evidence(maps)
            named[str(level)] = torch.cat([found, self.scores(found)], dim=1)
        coarse = list(stages.values())[-2:]
        named[POOLED] = torch.cat(
            [functional.adaptive_avg_pool2d(stage, GRID).flatten(1) for stage in coarse], dim=1
        )
        return named


class LogMeanExp(nn.Module):
    """Pool maps to logits: a smooth maximum that grows with the number of high cells.

    With m_j(u) the logit of map j at one of its n cells u::

        f_j = b_j + log(1/n * sum_u exp(r * m_j(u))) / r,   r = exp(log_sharpness)

    At r = 1 and b_j = log n it is the log-sum-exp of the map. Both are learnt.

    Args:
        maps: Number of maps.
    """

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.out_features = maps
        self.bias = nn.Parameter(torch.full((maps,), OFFSET))
        self.log_sharpness = nn.Parameter(torch.tensor(math.log(SHARPNESS)))

    def forward(self, maps: Tensor) -> Tensor:
        """Turn float (n, maps, rows, columns) into float32 (n, maps)."""
        sharpness = self.log_sharpness.float().exp()
        cells = maps.flatten(2).float()
        summed = torch.logsumexp(sharpness * cells, dim=2) - math.log(cells.shape[2])
        return self.bias.float() + summed / sharpness


class CellFeatures(nn.Module):
    """Merges all levels of the trunk at the resolution of the finest.

    Args:
        width: Channels of the pyramid.
        levels: Number of levels.
    """

    def __init__(self, width: int, levels: int) -> None:
        super().__init__()
        self.n_scores = SCORES * levels
        # One layer over the levels put together, applied to each level before it is enlarged: the
        # result is the same and the cost a third.
        self.merge = nn.ModuleList(nn.Conv2d(width + SCORES, width, 1) for _ in range(levels))
        self.active = nn.PReLU(width)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Merge maps (n, width + SCORES, ., .), finest first.

        Returns:
            Float (n, width + n_scores, rows, columns): features, then scores of each level.
        """
        size = levels[0].shape[-2:]
        merged = [merge(level) for merge, level in zip(self.merge, levels, strict=True)]
        features = torch.stack([_enlarged(maps, size) for maps in merged]).sum(dim=0)
        scores = [_enlarged(level[:, -SCORES:], size) for level in levels]
        return torch.cat([self.active(features), *scores], dim=1)


class DenseModel(SliceModel):
    """Slice networks with `MAPS` line maps, from which the fracture logits are pooled."""

    MAPS: ClassVar[int] = N_VERTEBRAE
    backbone: DenseTrunk

    def __init__(self, backbone: str, *, pretrained: bool = False) -> None:
        super().__init__(backbone, pretrained=pretrained)
        spec = pyramid_spec(backbone)
        self.cells = CellFeatures(spec.width, spec.levels)
        self.line = _line_layer(spec.width, self.cells.n_scores)
        self.pool = LogMeanExp(self.MAPS)

    @staticmethod
    def _make_backbone(backbone: str, *, pretrained: bool) -> tuple[DenseTrunk, int]:
        made = DenseTrunk(backbone, pretrained=pretrained)
        return made, made.pooled_features

    @overload
    def forward(
        self, images: Tensor, metadata: Tensor | None = None, presence: Tensor | None = None,
        *, with_maps: Literal[False] = False,
    ) -> Tensor: ...  # fmt: skip
    @overload
    def forward(
        self, images: Tensor, metadata: Tensor | None = None, presence: Tensor | None = None,
        *, with_maps: Literal[True],
    ) -> DenseOutputs: ...  # fmt: skip
    def forward(
        self, images: Tensor, metadata: Tensor | None = None, presence: Tensor | None = None,
        *, with_maps: bool = False,
    ) -> Tensor | DenseOutputs:  # fmt: skip
        """As `SliceModel.forward`; with `with_maps`, the maps as well."""
        del metadata
        outputs = self.outputs(self.backbone(self.image_input(images)), presence)
        return outputs if with_maps else outputs.logits

    def features(self, images: Tensor) -> Tensor:
        """As `SliceModel.features`: the trunk's pooled features."""
        return self.backbone(self.image_input(images))[POOLED]

    def outputs(self, trunk: Mapping[str, Tensor], presence: Tensor | None) -> DenseOutputs:
        """Logits and maps from the trunk's maps and, for Type 2, the presence (n, 7)."""
        del presence
        maps = self.line(self._cells(trunk))
        return DenseOutputs(self.pool(maps), maps)

    @property
    def output_layers(self) -> tuple[OutputLayer, ...]:
        """As `SliceModel.output_layers`: the offsets of the pooled maps."""
        return (self.pool,)

    def _cells(self, trunk: Mapping[str, Tensor]) -> Tensor:
        return self.cells([maps for key, maps in trunk.items() if key != POOLED])


class DenseFractureType1(DenseModel):
    """Image to one line map and one fracture logit, f_i."""

    MAPS = 1


class _GatedModel(DenseModel):
    """Seven maps: one of the line, gated by the presence of each vertebra.

    With a(u) the logit of a line at cell u and v_j the presence::

        m_j(u) = a(u) + log(max(v_j, 0.01))

    A learnt map of the vertebrae in the sum would tell whose line it is where several are in view;
    on one line per slice of a few hundred studies it lowers the vertebra AUC out of fold.
    """

    def _gated(self, trunk: Mapping[str, Tensor], presence: Tensor) -> Tensor:
        """The seven maps, from the trunk's maps and v_ij in [0, 1], float (n, 7)."""
        in_view = torch.log(presence.clamp(min=_ABSENT))[:, :, None, None]
        return self.line(self._cells(trunk)) + in_view


class DenseFractureType2(_GatedModel):
    """Image and the seven vertebra probabilities to seven line maps and fracture logits, f_ij."""

    def outputs(self, trunk: Mapping[str, Tensor], presence: Tensor | None) -> DenseOutputs:
        """As `DenseModel.outputs`.

        Raises:
            ValueError: `presence` is missing.
        """
        if presence is None:
            raise ValueError(f"This model needs presence, float32 (n, {N_VERTEBRAE}).")
        maps = self._gated(trunk, presence)
        return DenseOutputs(self.pool(maps), maps)


class DenseFractureType3(_GatedModel):
    """Image to seven line maps, seven fracture and seven presence logits, trained together.

    The maps take the network's own v_ij, which the fracture loss does not change.
    """

    def __init__(self, backbone: str, *, pretrained: bool = False) -> None:
        super().__init__(backbone, pretrained=pretrained)
        self.vertebra_head = prelu_head(self.n_features, N_VERTEBRAE)

    def outputs(self, trunk: Mapping[str, Tensor], presence: Tensor | None) -> DenseOutputs:
        """Logits f_C1..f_C7, then v_C1..v_C7, and the maps of f; `presence` is not used."""
        del presence
        seen = self.vertebra_head(trunk[POOLED])
        maps = self._gated(trunk, torch.sigmoid(seen.detach()))
        return DenseOutputs(torch.cat([self.pool(maps), seen], dim=1), maps)

    @property
    def output_layers(self) -> tuple[OutputLayer, ...]:
        """The layers that give f_C1..f_C7 and v_C1..v_C7."""
        return (self.pool, last_linear(self.vertebra_head))


def _enlarged(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Enlarge maps to rows and columns."""
    if tuple(maps.shape[-2:]) == tuple(size):
        return maps
    return functional.interpolate(maps, size=list(size), mode="bilinear", align_corners=False)


def _line_layer(width: int, n_scores: int) -> nn.Conv2d:
    """The layer that gives the line map; at first the mean of the scores."""
    layer = nn.Conv2d(width + n_scores, 1, 1)
    layer.bias = nn.Parameter(torch.zeros(1))
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[:, width:] = 1 / n_scores
    return layer
