"""The bundled model's recipe, as data."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

__all__ = ["FINE_TUNING", "NANO_CONTINUED", "NANO_RECIPE", "Recipe", "Stage"]


@dataclass(frozen=True, slots=True)
class Stage:
    """From which share of the run on, and with which crops.

    Parameters
    ----------
    start
        Share of all steps, 0..1.
    size, count
        Side of a crop in pixels and crops per step.
    rounds
        Chance of 1, 2, 3, ... rounds of interaction.
    """

    start: float
    size: int
    count: int
    rounds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides a training run, apart from data and step count.

    Parameters
    ----------
    learning_rate, weight_decay, warm_up
        AdamW; the rate rises over `warm_up` steps, stays, and falls along a cosine from
        `decay_start` (share of all steps) on.
    ema
        Decay of the averaged weights that are released.
    objects
        Objects per crop.
    affinity_weight, anchors
        Weight of nano's affinity loss and its anchors per crop.
    freeze_encoder
        Train only what answers prompts: embeddings computed before stay valid.
    keep_statistics
        Leave the running statistics of batch norms as they are.
    bf16
        Multiply in bf16 where the machine does so natively.
    sets
        How often each set of the pool is drawn.
    """

    stages: tuple[Stage, ...]
    sets: Mapping[str, float] = field(default_factory=dict)
    learning_rate: float = 1.2e-3
    weight_decay: float = 0.05
    warm_up: int = 200
    decay_start: float = 0.45
    ema: float = 0.999
    objects: int = 4
    affinity_weight: float = 0.3
    anchors: int = 48
    freeze_encoder: bool = False
    keep_statistics: bool = False
    bf16: bool = True

    def stage(self, share: float) -> Stage:
        """The stage at a share of the run."""
        return max((s for s in self.stages if s.start <= share), key=lambda s: s.start)

    def changed(self, **settings: Any) -> "Recipe":
        """A copy with some settings replaced."""
        return replace(self, **settings)

    def as_dict(self) -> dict[str, Any]:
        """For the record."""
        return asdict(self)


NANO_RECIPE = Recipe(
    stages=(
        Stage(0.0, 192, 12, (0.8, 0.15, 0.05)),
        Stage(0.25, 224, 10, (0.7, 0.2, 0.1)),
        Stage(0.5, 256, 8, (0.6, 0.2, 0.12, 0.08)),
        Stage(0.58, 384, 4, (0.65, 0.2, 0.1, 0.05)),
    ),
    sets={
        "dsb2018": 0.20,
        "coco_ccby": 0.34,
        "dali_pixabay": 0.16,
        "fruits_nuts": 0.05,
        "publaynet_examples": 0.02,
        "maize_clsm": 0.01,
        "embl_neubias": 0.01,
        "synthetic": 0.21,
    },
)

NANO_CONTINUED = NANO_RECIPE.changed(
    stages=(Stage(0.0, 384, 4, (0.65, 0.2, 0.1, 0.05)),), learning_rate=6e-4, decay_start=0.3
)
"""Goes on from weights: large crops only, and a lower rate."""

_CLICKS = (0.3, 0.2, 0.2, 0.1, 0.1, 0.1)

FINE_TUNING = {
    "nano": Recipe(
        stages=(Stage(0.0, 512, 2, _CLICKS),),
        sets={"data": 1.0},
        learning_rate=2e-4,
        warm_up=50,
        ema=0.99,
        objects=8,
        affinity_weight=0.1,
        keep_statistics=True,
    ),
    "vit": Recipe(
        stages=(Stage(0.0, 1024, 1, _CLICKS),),
        sets={"data": 1.0},
        learning_rate=1e-5,
        weight_decay=0.1,
        warm_up=50,
        ema=0.99,
        objects=8,
        affinity_weight=0.0,
        freeze_encoder=True,
        keep_statistics=True,
        bf16=False,
    ),
}
"""For a user's few pictures, by variant or else "vit"; the crop size is the model's."""
