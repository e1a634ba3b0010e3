"""`LabelConfig`: pictures, labels, and the tags that answers are written with."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from labelstudio_backend.controls.control import Control, LabelSet
from labelstudio_backend.controls.kinds import OUTPUTS
from labelstudio_backend.errors import ConfigError, RequestError
from labelstudio_backend.values import Picture

__all__ = ["ImageTag", "LabelConfig"]

_VARIABLE = re.compile(r"\$([\w.\-\[\]]+)")
_STEP = re.compile(r"[^.\[\]]+")
_LONGEST = 8192
"""Characters of an address that is put together; a picture in the task itself is one key."""

_MODES = ("prompts", "everything", "none")


@dataclass(frozen=True, slots=True)
class ImageTag:
    """An ``<Image>``.

    Parameters
    ----------
    name
        What regions say as ``to_name``.
    key
        Where in the task's data its address stands, without the dollar sign: ``image``, ``a.b``.
    several
        Whether it is a ``valueList``, whose data are a list of addresses.
    template
        The whole attribute, where it is more than a key.
    """

    name: str
    key: str
    several: bool = False
    template: str | None = None

    def addresses(self, data: Mapping[str, Any]) -> list[str]:
        """The addresses in a task's data.

        Raises
        ------
        RequestError
            If they are missing or no texts.
        """
        if self.template is not None:
            return [self._filled(self.template, data)]
        found = _looked_up(data, self.key)
        if isinstance(found, list | tuple):
            if not found or not all(isinstance(address, str) and address for address in found):
                raise self._missing(self.key, found)
            return list(found)
        return [self._one(data, self.key)]

    def _filled(self, template: str, data: Mapping[str, Any]) -> str:
        """The attribute with the task's values in it; looked at before it is built."""
        parts = [self._one(data, name) for name in _VARIABLE.findall(template)]
        if sum(map(len, parts)) > _LONGEST:
            raise RequestError(
                f"The value of the image tag {self.name!r} becomes an address of more than "
                f"{_LONGEST:,} characters with the task's data: shorten them, or make the value "
                "one key."
            )
        given = iter(parts)
        return _VARIABLE.sub(lambda _: next(given), template)

    def _one(self, data: Mapping[str, Any], key: str) -> str:
        found = _looked_up(data, key)
        if not isinstance(found, str) or not found.strip():
            raise self._missing(key, found)
        return found

    def _missing(self, key: str, found: object) -> RequestError:
        expected = "a list of addresses" if self.several else "an address"
        return RequestError(
            f"The image tag {self.name!r} needs {expected} in the task's data under {key[:64]!r}, "
            f"found {type(found).__name__}: import the task with it, or correct the tag's value."
        )


@dataclass(frozen=True, slots=True)
class LabelConfig:
    """A labelling config, as far as pictures are concerned.

    Parameters
    ----------
    images
        In their order.
    controls
        The tags for regions of those pictures, in their order.
    notes
        What in it cannot work, in sentences.
    """

    images: tuple[ImageTag, ...]
    controls: tuple[Control, ...]
    notes: tuple[str, ...] = field(default=(), compare=False)

    def image(self, to_name: str | None = None) -> ImageTag:
        """The tag of that name; the first for None.

        Raises
        ------
        ConfigError
            If there is none.
        """
        if not self.images:
            raise ConfigError(
                " ".join(
                    (
                        "The labelling config has no <Image> tag with a name and a value: only "
                        "pictures can be answered.",
                        *self.notes,
                    )
                )
            )
        found = next((tag for tag in self.images if to_name in (None, tag.name)), None)
        if found is None:
            names = ", ".join(tag.name for tag in self.images)
            raise ConfigError(
                f"The labelling config has no image tag {to_name!r}, only {names}: correct toName."
            )
        return found

    def picture(
        self, data: Mapping[str, Any], to_name: str | None = None, item: int | None = None
    ) -> Picture:
        """Which picture of a task is meant.

        Parameters
        ----------
        data
            Of the task.
        to_name
            Its image tag; the first for None.
        item
            Of a list of addresses the one that counts; otherwise the page of the file.

        Raises
        ------
        ConfigError
            If there is no such tag.
        RequestError
            If the data hold no such picture.
        """
        tag = self.image(to_name)
        addresses, number = tag.addresses(data), item or 0
        if not tag.several and len(addresses) == 1 and number >= 0:
            return Picture(addresses[0], number)
        if not 0 <= number < len(addresses):
            raise RequestError(
                f"The image tag {tag.name!r} has {len(addresses)} pages in this task, item_index "
                f"{number} is none of them (counted from 0)."
            )
        return Picture(addresses[number])

    def pictures(self, data: Mapping[str, Any]) -> list[tuple[str, int | None, Picture]]:
        """Every picture of a task, as (to_name, item, picture); tags without data are left out.

        Raises
        ------
        ConfigError
            If the config has no image tag.
        RequestError
            If none of them has data.
        """
        self.image()
        found: list[tuple[str, int | None, Picture]] = []
        refused: RequestError | None = None
        for tag in self.images:
            try:
                addresses = tag.addresses(data)
            except RequestError as error:
                refused = error
                continue
            for number, address in enumerate(addresses):
                several = tag.several or len(addresses) > 1
                found.append((tag.name, number if several else None, Picture(address)))
        if not found and refused is not None:
            raise refused
        return found

    def output(self, label: str | None, to_name: str) -> Control:
        """The tag that an answer is written with.

        Of the tags for that picture that hold the label: one with ``sam_output="true"``, then
        brush, bitmask, polygon and rectangle. A smart rectangle is a tool for prompts and comes
        last. Without a label a tag without labels is meant, or one that has a single label.

        Raises
        ------
        ConfigError
            If there is none, with what to add.
        """
        tags = self._outputs(to_name)
        if label is None:
            fitting = [tag for tag in tags if not tag.labelled] or [
                tag for tag in tags if len(tag.written_labels()) == 1
            ]
        else:
            fitting = [tag for tag in tags if self.held(label, tag) is not None]
            # A tag that is known to have the label comes before those that may have it.
            fitting.sort(key=lambda tag: bool(tag.brought_labels()))
        if fitting:
            return fitting[0]
        said = "No label" if label is None else f"The label {label!r}"
        known = "; ".join(
            f"{tag.name!r} has {', '.join(tag.written_labels()) or 'no labels'}" for tag in tags
        )
        raise ConfigError(
            f"{said} was picked, and no tag for {to_name!r} can write the answer ({known or 'none'}"
            f"): give the same labels to <BrushLabels>, <PolygonLabels>, <BitmaskLabels> or "
            f'<RectangleLabels toName="{to_name}"> as to the smart tools.'
        )

    def held(self, label: str, control: Control) -> tuple[LabelSet, str] | None:
        """Where a tag has a label and how its regions write it; None if it has no such label.

        The label may be called as its regions write it, by its value or by a predicted value, and
        by whatever other names the tag has for it that the label was picked with.
        """
        others = [
            name
            for tag in self.controls
            for group in tag.labels
            for name, written in group.names.items()
            if written == label
        ]
        known = (control.holder(name) for name in dict.fromkeys((label, *others)))
        return next((held for held in known if held is not None), None)

    def automatic(self, to_name: str) -> tuple[str, str | None]:
        """What a batch does without anybody asking, from attributes of the output tag.

        Returns
        -------
        mode, label
            ``sam_predict``: ``prompts`` (what lies on the task becomes masks), ``everything`` or
            ``none``. ``sam_label``, or the tag's only label, or None.

        Raises
        ------
        ConfigError
            If nothing can be written on that picture, or an attribute cannot be used.
        """
        tags = self._outputs(to_name)
        if not tags:
            self.output(None, to_name)
        tag = next((t for t in tags if {"sam_predict", "sam_label"} & t.attributes.keys()), tags[0])
        mode, label = tag.choice("sam_predict", _MODES), tag.attributes.get("sam_label")
        labels = tag.written_labels()
        if label is None:
            label = labels[0] if len(labels) == 1 else None
        elif tag.holder(label) is None:
            raise ConfigError(
                f"sam_label of the tag {tag.name!r} must be one of its labels "
                f"({', '.join(labels) or 'it has none'}), found {label!r}."
            )
        if mode == "everything" and label is None and labels:
            raise ConfigError(
                f"sam_predict of the tag {tag.name!r} is everything and it has several labels "
                f"({', '.join(labels)}): say with sam_label which one the masks get."
            )
        return mode, label

    def _outputs(self, to_name: str) -> list[Control]:
        """The tags that can write on a picture, the preferred first."""
        self.image(to_name)
        tags = [tag for tag in self.controls if tag.writes and to_name in tag.to_names]

        def rank(tag: Control) -> tuple[bool, bool, int]:
            prompts = tag.kind == "rectangle" and tag.smart
            return not tag.flag("sam_output"), prompts, OUTPUTS.index(type(tag))

        return sorted(tags, key=rank)


def _looked_up(data: Mapping[str, Any], key: str) -> Any:
    """``a.b[0]`` in nested data; a key that is there as it stands comes first."""
    if key in data:
        return data[key]
    found: Any = data
    for step in _STEP.findall(key):
        if isinstance(found, Mapping):
            found = found.get(step)
        elif isinstance(found, list | tuple) and step.isdecimal() and int(step) < len(found):
            found = found[int(step)]
        else:
            return None
    return found
