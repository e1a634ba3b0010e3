"""Trying again, later each time, where that may help."""

import email.utils
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

__all__ = ["Patience", "retry_after"]

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Patience:
    """How often something is tried, and how long is waited between.

    Parameters
    ----------
    attempts
        Tries in all.
    first_seconds
        Longest wait after the first; it doubles with each, and a part of it is left to chance, so
        that those who failed together do not come back together.
    longest_seconds
        Of any wait, also of one that the server asks for.
    sleep
        Waits.
    """

    attempts: int = 5
    first_seconds: float = 0.5
    longest_seconds: float = 30.0
    sleep: Callable[[float], None] = time.sleep

    def run(
        self,
        call: Callable[[], Result],
        again: Callable[[Exception], bool],
        asked_for: Callable[[Exception], float | None] = lambda error: None,
    ) -> Result:
        """Call until it succeeds, the attempts are over, or it makes no sense to try again.

        Parameters
        ----------
        call
            What to do.
        again
            Whether an error may be over at the next try.
        asked_for
            Seconds that the other side asked to wait for, None if it did not.
        """
        attempt = 1
        while True:
            try:
                return call()
            except Exception as error:
                if attempt >= self.attempts or not again(error):
                    raise
                asked = asked_for(error)
            longest = self.first_seconds * 2 ** (attempt - 1)
            seconds = random.uniform(longest / 2, longest) if asked is None else asked
            self.sleep(min(seconds, self.longest_seconds))
            attempt += 1


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the header Retry-After asks for; None without one that can be read."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    try:
        when = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())
