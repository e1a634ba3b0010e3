"""Labelling configs as XML, read without trusting them."""

from collections.abc import Iterator
from xml.etree import ElementTree

from labelstudio_backend.controls.config import ImageTag, LabelConfig
from labelstudio_backend.controls.control import LabelSet
from labelstudio_backend.controls.kinds import TAGS
from labelstudio_backend.errors import ConfigError

__all__ = ["read_config"]

_MOST_BYTES = 1_000_000
_DEEPEST = 100
_MOST_TAGS = 500
"""Image and control tags: they are compared with each other. Labels are not counted."""

_REPEATER = "<Repeater> is not understood: give pages to one <Image> with valueList."


class _Guard(ElementTree.TreeBuilder):
    """Builds the tree; refuses what is nested too deep, and any document type."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0

    def start(self, tag: str, attrs: dict[str, str], /) -> ElementTree.Element:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ConfigError(
                f"The labelling config is nested more than {_DEEPEST} tags deep: simplify it."
            )
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> ElementTree.Element:
        self._depth -= 1
        return super().end(tag)


def read_config(xml: str) -> LabelConfig:
    """Read a labelling config; tags that have nothing to do with pictures are ignored.

    Parameters
    ----------
    xml
        As Label Studio sends it.

    Raises
    ------
    ConfigError
        If it is no XML, has a document type or entities, takes more than a megabyte, or is nested
        more than a hundred tags deep.
    """
    if not isinstance(xml, str) or not xml.strip():
        raise ConfigError("The labelling config is empty: set it up in the project's settings.")
    if len(xml) > _MOST_BYTES or len(xml.encode("utf-8", "surrogatepass")) > _MOST_BYTES:
        raise ConfigError(
            f"The labelling config has more than {_MOST_BYTES:,} bytes: make it shorter."
        )
    if "<!DOCTYPE" in xml or "<!ENTITY" in xml:
        raise ConfigError(
            "The labelling config declares a document type or entities, which Label Studio's do "
            "not: remove them."
        )
    parser = ElementTree.XMLParser(target=_Guard())
    try:
        parser.feed(xml)
        root = parser.close()
    except (ElementTree.ParseError, UnicodeError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"The labelling config is no XML: {error}.") from error
    return _config(root)


def _config(root: ElementTree.Element) -> LabelConfig:
    images, groups, tags, notes = list[ImageTag](), list[tuple[LabelSet, tuple[str, ...]]](), [], []
    for element in root.iter():
        kind, attributes = _name(element), {k.lower(): v for k, v in element.attrib.items()}
        name = attributes.get("name", "").strip()
        to_names = tuple(part.strip() for part in attributes.get("toname", "").split(","))
        if kind == "repeater":
            notes.append(_REPEATER)
        if "{{" in name:
            continue
        if kind == "image" and name:
            images += _images(name, attributes)
        elif kind == "labels" and name:
            groups.append((_labels(name, element), to_names))
        elif kind in TAGS and name:
            tags.append((kind, name, to_names, attributes, element))
    if len(images) + len(groups) + len(tags) > _MOST_TAGS:
        raise ConfigError(
            f"The labelling config has {len(images) + len(groups) + len(tags)} tags for pictures, "
            f"{_MOST_TAGS} are the most: divide the project."
        )
    controls = []
    names = {image.name for image in images}
    for kind, name, to_names, attributes, element in tags:
        known = tuple(to for to in dict.fromkeys(to_names) if to in names)
        for missing in sorted(set(to_names) - set(known)):
            notes.append(
                f"The tag {name!r} is for {missing!r}, and there is no image tag of that name."
            )
        if not known:
            continue
        labelled = kind.endswith("labels")
        labels: tuple[LabelSet, ...] = (
            (_labels(name, element),)
            if labelled
            else tuple(group for group, to in groups if set(to) & set(known))
        )
        controls.append(TAGS[kind](name, known, labels, labelled, attributes))
    return LabelConfig(tuple(images), tuple(controls), tuple(notes))


def _images(name: str, attributes: dict[str, str]) -> Iterator[ImageTag]:
    several = attributes.get("valuelist", "").strip()
    value = several or attributes.get("value", "").strip()
    key = value.removeprefix("$")
    if value.startswith("$") and key and "$" not in key and "/" not in key:
        yield ImageTag(name, key, bool(several))
    elif value:
        yield ImageTag(name, key, bool(several), value)


def _labels(tag: str, element: ElementTree.Element) -> LabelSet:
    written, names = list[str](), dict[str, str]()
    others = dict[str, str]()
    for label in element.iter():
        if _name(label) != "label":
            continue
        attributes = {key.lower(): text for key, text in label.attrib.items()}
        value, alias = attributes.get("value", "").strip(), attributes.get("alias", "").strip()
        result = alias or value
        if not result:
            continue
        written.append(result)
        names[result] = result
        others.setdefault(value, result)
        for predicted in attributes.get("predicted_values", "").split(","):
            others.setdefault(predicted.strip(), result)
    others.pop("", None)
    value = next((v.strip() for k, v in element.attrib.items() if k.lower() == "value"), "")
    brought = value if value.startswith("$") else None
    return LabelSet(tag, tuple(dict.fromkeys(written)), others | names, brought)


def _name(element: ElementTree.Element) -> str:
    return element.tag.lower() if isinstance(element.tag, str) else ""
