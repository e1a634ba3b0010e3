"""A check and what it found."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from labelstudio_backend.doctor.visit import Visit

__all__ = ["Check", "Finding", "Grade", "fail", "ok", "skip", "warn"]

Grade = Literal["ok", "warn", "fail", "skip"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    Parameters
    ----------
    grade
        "skip" if it could not be looked at.
    found
        What is so.
    change
        What to do about it; empty where nothing is to be done.
    paste
        What is to be copied for that as it stands.
    """

    grade: Grade
    found: str
    change: str = ""
    paste: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is looked at.

    Parameters
    ----------
    name
        Of the line in the table.
    run
        Looks; `SamPluginsError` fails the check with its sentence.
    needs
        Checks that must not have failed before.
    """

    name: str
    run: Callable[["Visit"], Finding]
    needs: tuple[str, ...] = ()


def ok(found: str) -> Finding:
    """All is well."""
    return Finding("ok", found)


def warn(found: str, change: str) -> Finding:
    """It works, but not as one would wish."""
    return Finding("warn", found, change)


def fail(found: str, change: str, paste: str = "") -> Finding:
    """It does not work."""
    return Finding("fail", found, change, paste)


def skip(found: str, change: str = "") -> Finding:
    """It could not be looked at."""
    return Finding("skip", found, change)
