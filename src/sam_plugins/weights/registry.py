"""Every checkpoint we know by name: where it is published, how it is checked, who made it.

Sources: the hashes of SAM and MobileSAM are those in micro-sam's own registry (sha256 until 2023),
which other projects repeat; those of the fine-tuned models are xxh128 there. Sizes were reported by
the publishers' servers. A hash that no source states is None.
"""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType

from sam_plugins.errors import CheckpointError

__all__ = ["CHECKPOINTS", "Checkpoint", "checkpoint_named"]

_SAM = "Kirillov et al., Segment Anything, ICCV 2023, arXiv:2304.02643"
_MOBILE_SAM = "Zhang et al., Faster Segment Anything (MobileSAM), 2023, arXiv:2306.14289"
_MICRO_SAM = (
    "Archit et al., Segment Anything for Microscopy, Nature Methods 2025, "
    "doi:10.1038/s41592-024-02580-4"
)
_META = "https://dl.fbaipublicfiles.com/segment_anything/"
_MOBILE = (
    "https://raw.githubusercontent.com/ChaoningZhang/MobileSAM/"
    "f706ad9c4eb7f219c00d9050e46328518ffb65d2/weights/"
)
_ZOO = "https://uk1s3.embassy.ebi.ac.uk/public-datasets/bioimage.io/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """One published weights file.

    Parameters
    ----------
    name
        The word users choose it by.
    variant
        Name of the `ModelSpec` that it fits.
    filename
        In the cache folder, and of a copy put there by hand.
    url
        https address; None for the model that is bundled with the library.
    digest
        "sha256:..." or "xxh128:..." of the file as some source states it; None if none does.
    licence, citation
        Of the weights.
    size_bytes
        Of the file, where known.
    note
        What it is good for, and what is uncertain about this record.
    other_names
        File names under which others publish the same weights.
    """

    name: str
    variant: str
    filename: str
    url: str | None
    digest: str | None
    licence: str
    citation: str
    size_bytes: int | None = None
    note: str = ""
    other_names: tuple[str, ...] = ()

    @property
    def sha256(self) -> str | None:
        """64 hexadecimal digits, if that is the known hash."""
        algorithm, _, value = (self.digest or "").partition(":")
        return value if algorithm == "sha256" else None

    @property
    def verified(self) -> bool:
        """Whether a download can be checked on this machine: the hash is known and computable."""
        if self.digest is None:
            return False
        return self.sha256 is not None or importlib.util.find_spec("xxhash") is not None


def _micro_sam(name: str, model: str, digest: str, use: str) -> Checkpoint:
    variant = name[:5]
    return Checkpoint(
        name=name,
        variant=variant,
        filename=f"{name}.pt",
        url=f"{_ZOO}{model}/files/{variant}.pt",
        digest=f"xxh128:{digest}",
        licence="CC-BY-4.0",
        citation=_MICRO_SAM,
        note=f"Fine-tuned for {use}; licence as the authors' BioImage.IO export states it.",
    )


_CELLS = "cells and nuclei in light microscopy"
_ORGANELLES = "mitochondria, nuclei and other organelles in electron microscopy"

CHECKPOINTS: Mapping[str, Checkpoint] = MappingProxyType(
    {
        checkpoint.name: checkpoint
        for checkpoint in (
            Checkpoint(
                name="nano",
                variant="nano",
                filename="nano.safetensors",
                url=None,
                digest=None,
                licence="Apache-2.0",
                citation="The model card of nano in this library's documentation",
                note="Bundled with the library; small, quick, trained on little data.",
            ),
            Checkpoint(
                name="vit_t",
                variant="vit_t",
                filename="mobile_sam.pt",
                url=f"{_MOBILE}mobile_sam.pt",
                digest="sha256:6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
                licence="Apache-2.0",
                citation=_MOBILE_SAM,
                size_bytes=40_728_226,
                note="MobileSAM: SAM's decoder on a small encoder.",
            ),
            Checkpoint(
                name="vit_b",
                variant="vit_b",
                filename="sam_vit_b_01ec64.pth",
                url=f"{_META}sam_vit_b_01ec64.pth",
                digest="sha256:ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
                licence="Apache-2.0",
                citation=_SAM,
                size_bytes=375_042_383,
                note="SAM, the smallest published encoder.",
                other_names=("sam_b.pt",),
            ),
            Checkpoint(
                name="vit_l",
                variant="vit_l",
                filename="sam_vit_l_0b3195.pth",
                url=f"{_META}sam_vit_l_0b3195.pth",
                digest="sha256:3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
                licence="Apache-2.0",
                citation=_SAM,
                size_bytes=1_249_524_607,
                note="SAM, the middle encoder.",
                other_names=("sam_l.pt",),
            ),
            Checkpoint(
                name="vit_h",
                variant="vit_h",
                filename="sam_vit_h_4b8939.pth",
                url=f"{_META}sam_vit_h_4b8939.pth",
                digest="sha256:a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
                licence="Apache-2.0",
                citation=_SAM,
                size_bytes=2_564_550_879,
                note="SAM, the largest and most accurate encoder.",
            ),
            _micro_sam(
                "vit_t_lm", "faithful-chicken/1.1", "72ec5074774761a6e5c05a08942f981e", _CELLS
            ),
            _micro_sam(
                "vit_b_lm", "diplomatic-bug/1.2", "fe9252a29f3f4ea53c15a06de471e186", _CELLS
            ),
            _micro_sam(
                "vit_l_lm", "idealistic-rat/1.2", "017f20677997d628426dec80a8018f9d", _CELLS
            ),
            _micro_sam(
                "vit_t_em_organelles",
                "greedy-whale/1",
                "253474720c497cce605e57c9b1d18fd9",
                _ORGANELLES,
            ),
            _micro_sam(
                "vit_b_em_organelles",
                "noisy-ox/1.2",
                "f3bf2ed83d691456bae2c3f9a05fb438",
                _ORGANELLES,
            ),
            _micro_sam(
                "vit_l_em_organelles",
                "humorous-crab/1.2",
                "810b084b6e51acdbf760a993d8619f2d",
                _ORGANELLES,
            ),
        )
    }
)
"""Every record by name, SAM smallest first."""


def checkpoint_named(name: str) -> Checkpoint | None:
    """The record whose name, file name or other published name is `name`; None if there is none."""
    for checkpoint in CHECKPOINTS.values():
        if name in (checkpoint.name, checkpoint.filename, *checkpoint.other_names):
            return checkpoint
    return None


def unknown_checkpoint(name: str) -> CheckpointError:
    """The error for a word that is neither a known name nor a file."""
    close = get_close_matches(name, CHECKPOINTS, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return CheckpointError(
        f"Expected a weights file or a model name among {', '.join(CHECKPOINTS)}, found {name!r}, "
        f"which is neither.{hint}"
    )
