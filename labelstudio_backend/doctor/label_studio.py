"""Label Studio itself: whether it is there, and whether it knows us."""

import time

from labelstudio_backend.doctor.finding import Finding, fail, ok, warn
from labelstudio_backend.doctor.visit import Visit
from labelstudio_backend.errors import LabelStudioError

__all__ = ["reachable", "token"]

_OLDEST = (1, 20)
_DAY = 86_400
_WHERE = "in Label Studio, Account & Settings"


def reachable(visit: Visit) -> Finding:
    """Whether a Label Studio of a known kind answers at the address."""
    url = visit.settings.label_studio_url
    try:
        release = visit.stranger.version()
    except LabelStudioError as error:
        if error.status is None:
            return fail(
                str(error),
                f"Start Label Studio, or set LABEL_STUDIO_URL (now {url}) to where this machine "
                "finds it; from inside a container localhost is the container itself.",
            )
        return fail(
            str(error),
            f"Set LABEL_STUDIO_URL (now {url}) to the address that shows Label Studio's projects, "
            "with its sub-path and without /projects.",
        )
    numbers = tuple(int(part) for part in release.split(".")[:2] if part.isdecimal())
    if numbers < _OLDEST:
        return warn(
            f"Label Studio {release} at {url}.",
            "This backend is tested with Label Studio 1.23; update it if something does not work.",
        )
    return ok(f"Label Studio {release} at {url}.")


def token(visit: Visit) -> Finding:
    """Whether Label Studio accepts the token, and of which kind it is."""
    from labelstudio_backend.fetching.tokens import expiry

    key = (visit.settings.api_key or "").strip()
    if not key:
        return fail(
            "LABEL_STUDIO_API_KEY is not set.",
            f"Set it to a personal access token or a legacy token: {_WHERE}.",
        )
    until = expiry(key)
    personal = key.count(".") == 2
    kind = "personal access token" if personal else "legacy token"
    if until is not None and until < time.time():
        return fail(f"The {kind} has expired.", f"Make a new one {_WHERE} > Personal Access Token.")
    try:
        user = visit.client.whoami()
    except LabelStudioError as error:
        return _refused(error, kind)
    found = f"A {kind} of {user.get('email') or user.get('username')}."
    if until is not None and until < time.time() + 7 * _DAY:
        return warn(
            f"{found} It ends in {(until - time.time()) / _DAY:.1f} days.",
            f"Make a new one {_WHERE}.",
        )
    return ok(found)


def _refused(error: LabelStudioError, kind: str) -> Finding:
    said = str(error)
    if "disabled" in said:
        return fail(
            "Label Studio's organisation does not accept legacy tokens, and this is one.",
            f"Make a personal access token ({_WHERE} > Personal Access Token) and set "
            "LABEL_STUDIO_API_KEY to it; or let an owner allow legacy tokens (Organization > API "
            "Tokens Settings).",
        )
    if error.status == 401:
        return fail(
            f"Label Studio does not accept this {kind}.",
            f"Copy it into LABEL_STUDIO_API_KEY again ({_WHERE}): a personal access token is the "
            "long one with two dots, a legacy token has 40 characters. It must be of this Label "
            "Studio.",
        )
    if error.status == 404:
        return fail(
            said,
            "LABEL_STUDIO_URL goes on too far: leave out /projects and what follows; a sub-path "
            "that Label Studio is hosted under stays.",
        )
    return fail(said, "See that Label Studio works, then run this again.")
