"""Requests that follow redirects, each checked anew, and that keep Label Studio's token at home."""

import json
import time
from collections.abc import Mapping

from labelstudio_backend.errors import AddressError, LabelStudioError
from labelstudio_backend.fetching.addresses import AddressPolicy, Checked
from labelstudio_backend.fetching.exchange import Allowance, Answer, exchange
from labelstudio_backend.fetching.failures import RefusedError
from labelstudio_backend.fetching.tokens import REFRESH_PATH, Tokens
from labelstudio_backend.fetching.web_address import WebAddress, shown

__all__ = ["Connector"]

REDIRECTS = (301, 302, 303, 307, 308)
REFRESH_ALLOWANCE = Allowance(max_bytes=1 << 16, read_seconds=10.0, total_seconds=15.0)


class Connector:
    """Reaches what the policy allows. Safe to share between threads.

    Parameters
    ----------
    policy
        What may be connected to.
    api_key
        Label Studio's token. It is sent to Label Studio's own origin only, and no more once a
        redirect has left it.
    """

    def __init__(self, policy: AddressPolicy, api_key: str | None = None) -> None:
        self._policy = policy
        self._tokens = Tokens(api_key, self._refresh)

    @property
    def policy(self) -> AddressPolicy:
        """What may be connected to."""
        return self._policy

    @property
    def tokens(self) -> Tokens:
        """What authorises requests to Label Studio."""
        return self._tokens

    def get(
        self,
        address: WebAddress,
        *,
        headers: Mapping[str, str] | None = None,
        authorized: bool = True,
        allowance: Allowance | None = None,
    ) -> Answer:
        """Read an address, through redirects.

        Parameters
        ----------
        address
            What to read.
        headers
            Beside those that every request has; no secrets.
        authorized
            Whether Label Studio may see the token.
        allowance
            Bounds.

        Returns
        -------
        The first answer that is no redirect, whatever its status.

        Raises
        ------
        AddressError
            If it may not be connected to, did not answer (`UnreachableError`), or redirects
            without end or to where it may not be followed (`RefusedError`).
        LimitError
            If the answer is too large.
        LabelStudioError
            If the personal access token is no longer accepted.
        """
        allowance = allowance or Allowance()
        deadline = time.monotonic() + allowance.total_seconds
        came_from: WebAddress | None = None
        for _ in range(allowance.max_redirects + 1):
            checked = self._policy.check(address, came_from=came_from)
            authorized = authorized and checked.own
            answer = self._authorized(
                checked, "GET", headers or {}, None, allowance, deadline, authorized
            )
            location = answer.headers.get("location")
            if answer.status not in REDIRECTS or location is None:
                return answer
            came_from, address = address, address.follow(location)
        raise RefusedError(
            f"{shown(address.url)} is the {allowance.max_redirects + 1}th redirect in a row: give "
            "the address of the picture itself.",
            answer.status,
        )

    def send(
        self,
        address: WebAddress,
        method: str,
        content: object,
        *,
        allowance: Allowance | None = None,
    ) -> Answer:
        """Send JSON to Label Studio; redirects are not followed.

        Raises
        ------
        AddressError, LimitError, LabelStudioError
            As `get`.
        """
        allowance = allowance or Allowance()
        checked = self._policy.check(address)
        if not checked.own:
            raise AddressError(
                f"{shown(address.url)} is not Label Studio's, and nothing is sent elsewhere: set "
                "LABEL_STUDIO_URL."
            )
        body = json.dumps(content, allow_nan=False, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json"}
        deadline = time.monotonic() + allowance.total_seconds
        return self._authorized(checked, method, headers, body, allowance, deadline, True)

    def _authorized(
        self,
        checked: Checked,
        method: str,
        headers: Mapping[str, str],
        body: bytes | None,
        allowance: Allowance,
        deadline: float,
        authorized: bool,
    ) -> Answer:
        """One request, and one more where an access token had ended early."""
        token = self._tokens.authorization() if authorized else None
        if token is None:
            return exchange(checked, method, headers, body, allowance, deadline)
        with_token = {**headers, "Authorization": token}
        answer = exchange(checked, method, with_token, body, allowance, deadline)
        if answer.status != 401:
            return answer
        token = self._tokens.after_refusal(token)
        if token is None:
            return answer
        with_token = {**headers, "Authorization": token}
        return exchange(checked, method, with_token, body, allowance, deadline)

    def _refresh(self, token: str) -> str:
        home = self._policy.home
        if home is None:
            raise LabelStudioError("LABEL_STUDIO_URL is needed with LABEL_STUDIO_API_KEY: set it.")
        checked = self._policy.check(home.below(self._policy.base_path + REFRESH_PATH))
        answer = exchange(
            checked,
            "POST",
            {"Content-Type": "application/json"},
            json.dumps({"refresh": token}).encode(),
            REFRESH_ALLOWANCE,
            time.monotonic() + REFRESH_ALLOWANCE.total_seconds,
        )
        access: object = None
        if answer.status == 200:
            try:
                content = json.loads(answer.body)
            except (ValueError, RecursionError):
                content = None
            access = content.get("access") if isinstance(content, dict) else None
        if not isinstance(access, str) or not access.isascii() or not access.isprintable():
            raise LabelStudioError(
                f"Label Studio did not take the personal access token (status {answer.status} at "
                f"{shown(checked.address.url)}): make a new one on its page Account & Settings, "
                "and give it as LABEL_STUDIO_API_KEY.",
                answer.status,
            )
        return access
