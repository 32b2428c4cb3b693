"""Short names of the shipped networks, for people; the technical name stays the name in files."""

from __future__ import annotations

from typing import Final

SHORT_NAMES: Final = {
    "fracture_type1": "Type 1",
    "fracture_type2": "Type 2",
    "fracture_type3": "Type 3",
    "localization_mobilenet_v3_large": "Boxes",
    "vertebra_type1": "Vertebrae 1",
    "vertebra_type2": "Vertebrae 2",
    "segmentation_unet3d": "Segmentation",
}
"""Short name by the technical one."""


def short_name(name: str) -> str:
    """Short name of a shipped network; the name itself of any other."""
    return SHORT_NAMES.get(name, name)


def full_name(name: str) -> str:
    """Short name with the technical one, for documents that are read without the program."""
    short = short_name(name)
    return name if short == name else f"{short} ({name})"
