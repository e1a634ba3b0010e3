"""Label Studio's two kinds of token, and what is written into a request for each.

A legacy token is sent as it is. A personal access token is a refresh token: it is exchanged for an
access token that lasts some minutes. Neither is ever shown.
"""

import base64
import binascii
import json
import time
from collections.abc import Callable
from threading import Lock
from typing import Any

from labelstudio_backend.errors import LabelStudioError

__all__ = ["REFRESH_PATH", "Tokens", "expiry"]

REFRESH_PATH = "/api/token/refresh/"

EARLY_SECONDS = 30.0
"""How long before its end an access token is exchanged."""

UNKNOWN_SECONDS = 60.0
"""How long an access token is used that does not say when it ends."""


class Tokens:
    """Authorises requests to Label Studio. Safe to share between threads.

    Parameters
    ----------
    api_key
        Either kind of token; None for no authorisation.
    refresh
        Exchanges a personal access token for an access token; raises `LabelStudioError`.
    clock
        Seconds since 1970.
    """

    def __init__(
        self,
        api_key: str | None,
        refresh: Callable[[str], str],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._key = (api_key or "").strip()
        if not self._key.isascii() or any(c.isspace() for c in self._key):
            raise LabelStudioError(
                "LABEL_STUDIO_API_KEY is no token: copy it again from Label Studio's page "
                "Account & Settings."
            )
        if self._key.count(".") == 1 and self._key.startswith("eyJ"):
            raise LabelStudioError(
                "LABEL_STUDIO_API_KEY is a personal access token without its last part, as Label "
                "Studio lists it: make a new one there, and copy it where it is shown in full."
            )
        self._refresh = refresh
        self._clock = clock
        self._lock = Lock()
        self._access: str | None = None
        self._until = 0.0

    def __repr__(self) -> str:
        kind = "personal" if self.is_personal else "legacy" if self._key else "no"
        return f"<{kind} token>"

    @property
    def is_personal(self) -> bool:
        """Whether it is a personal access token and not a legacy token."""
        return _claims(self._key) is not None

    def authorization(self) -> str | None:
        """The value of the header, None without a token.

        Raises
        ------
        LabelStudioError
            If a personal access token is no longer accepted.
        """
        if not self._key:
            return None
        if not self.is_personal:
            return f"Token {self._key}"
        with self._lock:
            if self._access is None or self._clock() >= self._until:
                self._renew()
            return f"Bearer {self._access}"

    def after_refusal(self, authorization: str) -> str | None:
        """What to try once more with when a request with `authorization` was answered with 401.

        Returns
        -------
        The header with a newer access token; None for a legacy token, which does not change.

        Raises
        ------
        LabelStudioError
            If the personal access token is no longer accepted.
        """
        if not self._key or not self.is_personal:
            return None
        with self._lock:
            if authorization == f"Bearer {self._access}":
                self._renew()
            return f"Bearer {self._access}"

    def _renew(self) -> None:
        self._access = None
        access = self._refresh(self._key)
        now = self._clock()
        until = expiry(access)
        self._until = now + UNKNOWN_SECONDS if until is None else until - EARLY_SECONDS
        self._access = access


def expiry(token: str) -> float | None:
    """When a JWT says that it ends, in seconds since 1970; its signature is not looked at."""
    claims = _claims(token)
    end = None if claims is None else claims.get("exp")
    return float(end) if isinstance(end, int | float) and not isinstance(end, bool) else None


def _claims(token: str) -> dict[str, Any] | None:
    """What a JWT claims; None for anything else."""
    parts = token.split(".")
    if len(parts) != 3 or not all(parts):
        return None
    try:
        payload = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        claims = json.loads(payload)
    except (binascii.Error, ValueError, RecursionError):
        return None
    return claims if isinstance(claims, dict) else None
