"""What Label Studio's refusals mean, and what to do about each."""

import json
from collections.abc import Iterator

from labelstudio_backend.fetching.exchange import Answer
from labelstudio_backend.fetching.web_address import shown

__all__ = ["sentence"]

LONGEST = 300


def sentence(method: str, answer: Answer) -> str:
    """One sentence or two about an answer whose status is not 2xx."""
    what = f"Label Studio answered {answer.status} to {method} {shown(answer.address.url)}"
    said = _said(answer)
    if said:
        what += f' ("{said}")'
    if answer.status in (301, 302, 303, 307, 308):
        return f"{what}, a redirect: set LABEL_STUDIO_URL to the address that it leads to."
    if answer.status == 401:
        return (
            f"{what}: it does not accept the token; copy one from its page Account & Settings "
            "into LABEL_STUDIO_API_KEY. Legacy tokens may have to be enabled by its organisation."
        )
    if answer.status == 403:
        return f"{what}: give the user whom LABEL_STUDIO_API_KEY belongs to the right to do this."
    if answer.status == 404:
        return f"{what}: there is no such thing; check the number, and LABEL_STUDIO_URL."
    if answer.status == 429 or answer.status >= 500:
        return f"{what}: try again later, and see Label Studio's log."
    return f"{what}: correct what was sent."


def _said(answer: Answer) -> str:
    """What the answer says of itself, in one line; never its traceback."""
    try:
        content = json.loads(answer.body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(content, dict):
        return ""
    errors = content.get("validation_errors")
    parts = list(_texts(errors)) or list(_texts(content.get("detail")))
    text = " ".join(" ".join(parts).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _texts(value: object, depth: int = 0) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict) and depth < 4:
        for name, inner in value.items():
            for text in _texts(inner, depth + 1):
                yield text if name == "non_field_errors" else f"{name}: {text}"
    elif isinstance(value, list) and depth < 4:
        for inner in value:
            yield from _texts(inner, depth + 1)
