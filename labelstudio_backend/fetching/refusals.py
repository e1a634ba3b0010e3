"""What refusals mean, and what to do about each."""

import json
from collections.abc import Iterator

from labelstudio_backend.fetching.exchange import Answer
from labelstudio_backend.fetching.web_address import shown

__all__ = ["about_api", "about_picture"]

LONGEST = 300


def about_api(method: str, answer: Answer) -> str:
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
    if answer.status == 403 and "reserved network" in said:
        return (
            f"{what}: from 1.23.1 on it calls no private addresses by itself; take this network "
            "off its list with USE_DEFAULT_BANNED_SUBNETS=false and USER_ADDITIONAL_BANNED_SUBNETS."
        )
    if answer.status == 403:
        return f"{what}: give the user whom LABEL_STUDIO_API_KEY belongs to the right to do this."
    if answer.status == 404:
        return (
            f"{what}: there is no such thing; check the number, and LABEL_STUDIO_URL, with its "
            "sub-path if it has one."
        )
    if answer.status == 429 or answer.status >= 500:
        return f"{what}: try again later, and see Label Studio's log."
    return f"{what}: correct what was sent."


def about_picture(answer: Answer, *, own: bool, authorized: bool) -> str:
    """One sentence or two about an answer that should have been a picture.

    Parameters
    ----------
    answer
        With another status than 200.
    own
        Whether Label Studio itself answered.
    authorized
        Whether the token was sent at first.
    """
    address = answer.address
    what = f"{address.origin} answered {answer.status} for {shown(address.url)}"
    for path, status, hint in _HINTS:
        if own and authorized and path in address.path and answer.status == status:
            return f"{what}: {hint}"
    if answer.status in (401, 403):
        if own and authorized:
            return (
                f"{what}: check that LABEL_STUDIO_API_KEY is a token that Label Studio still "
                "accepts, of a user who may see the project."
            )
        return (
            f"{what}: it is not readable without a password, or its pre-signed link has ended; "
            "open the task again, or make the picture readable."
        )
    if answer.status in (404, 410):
        return f"{what}: the picture is not there any more; upload or synchronise it again."
    if answer.status >= 500 and own:
        return f"{what}: try again, and see Label Studio's log."
    return f"{what}: try again later, or open it in a browser to see why."


_HINTS = (
    (
        "/data/local-files",
        403,
        "set LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true where Label Studio runs.",
    ),
    (
        "/data/local-files",
        404,
        "see that the file is there, and that a Local Files storage of the project covers its "
        "folder.",
    ),
    (
        "/data/upload/",
        500,
        "Label Studio answers so for an upload that was deleted; if it is there, see its log.",
    ),
    (
        "/storage-data/uploaded",
        403,
        "the upload was deleted, or the user of LABEL_STUDIO_API_KEY may not see its project.",
    ),
    ("/resolve", 404, "no storage of the project has this file, or its storage cannot sign links."),
    ("/presign", 404, "no storage of the project has this file, or its storage cannot sign links."),
)
"""What Label Studio 1.23 means by an answer at some of its paths."""


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
