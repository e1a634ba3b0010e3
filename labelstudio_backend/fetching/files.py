"""The bytes of a picture, from wherever it is, read anew only where it may have changed."""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from threading import Lock

from labelstudio_backend.errors import AddressError, LabelStudioError
from labelstudio_backend.fetching.connecting import Connector
from labelstudio_backend.fetching.exchange import Allowance, Answer
from labelstudio_backend.fetching.failures import RefusedError, UnreachableError
from labelstudio_backend.fetching.locating import InlinePicture, MountedFile, WebPicture, locate
from labelstudio_backend.fetching.mounted import read_mounted
from labelstudio_backend.fetching.picture_folder import KeptPicture, PictureFolder, Validators
from labelstudio_backend.fetching.refusals import about_picture
from labelstudio_backend.fetching.retrying import Patience, retry_after
from labelstudio_backend.fetching.stable_address import address_key
from labelstudio_backend.fetching.web_address import shown
from sam_plugins.errors import ImageError, LimitError
from sam_plugins.images import Limits, page_count

__all__ = ["PictureBytes", "PictureFiles"]

FRESH_SECONDS = 600.0
"""How long what was read from the web is used without asking whether it has changed."""

MOUNTED_SECONDS = 5.0
"""The same for files of a mounted folder, where asking costs next to nothing."""

STALE_SECONDS = 3600.0
"""How much longer it is used while the server cannot be asked."""

REFUSED_SECONDS = 3.0
"""How long a server that gave no picture is not asked again: annotators click on and on."""

MOST_REFUSED = 1000

GONE = (401, 403, 404, 410)

NO_PICTURE = (
    "is no picture that is read here, or not a whole one: PNG, JPEG, WebP, BMP, GIF and TIFF are; "
    "save it as one of them."
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PictureBytes:
    """A picture file.

    Parameters
    ----------
    content
        Its bytes.
    digest
        Their SHA-256 in hexadecimal digits.
    fresh_seconds
        How long it need not be asked for again.
    """

    content: bytes
    digest: str
    fresh_seconds: float


class PictureFiles:
    """Reads picture files. Safe to share between threads.

    Parameters
    ----------
    connector
        Reaches the web.
    folder
        Keeps what came from there.
    root
        Label Studio's folder of local files, where it is mounted here as well.
    limits
        Of one file.
    allowance
        Of one transfer; by default as many bytes as `limits` allow.
    patience
        With a server that does not answer at once.
    clock
        Seconds since 1970.
    """

    def __init__(
        self,
        connector: Connector,
        folder: PictureFolder,
        root: Path | None = None,
        *,
        limits: Limits | None = None,
        allowance: Allowance | None = None,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._connector = connector
        self._folder = folder
        self._root = root
        self._limits = limits or Limits.strict()
        self._allowance = allowance or Allowance(
            max_bytes=self._limits.max_bytes or 1 << 29, read_seconds=20.0, total_seconds=90.0
        )
        self._patience = patience or Patience(attempts=3, first_seconds=0.25, longest_seconds=2.0)
        self._clock = clock
        self._lock = Lock()
        self._refused: OrderedDict[str, tuple[float, bool, str]] = OrderedDict()

    def read(self, value: str) -> PictureBytes:
        """The bytes of the picture that a task names.

        Raises
        ------
        AddressError
            If it may not be read, is not there, or is no picture.
        ImageError
            If it is a damaged picture.
        LimitError
            If it is too large.
        """
        limit = self._allowance.max_bytes
        policy = self._connector.policy
        location = locate(value, policy, mounted=self._root is not None, max_bytes=limit)
        if isinstance(location, InlinePicture):
            if self._why_none(location.content) is not None:
                raise ImageError(f"What the task itself holds {NO_PICTURE}")
            return _bytes(location.content, FRESH_SECONDS)
        if isinstance(location, MountedFile):
            if self._root is None:
                raise AddressError("LOCAL_FILES_DOCUMENT_ROOT is not set: set it.")
            content = read_mounted(self._root, location.path, limit)
            if self._why_none(content) is not None:
                raise AddressError(f"The local file {location.path[:150]!r} {NO_PICTURE}")
            return _bytes(content, MOUNTED_SECONDS)
        kept = self._unless_refused(location)
        return PictureBytes(kept.content, kept.digest, FRESH_SECONDS)

    def _unless_refused(self, picture: WebPicture) -> KeptPicture:
        """Read from the web what was not refused, or no picture, a moment ago."""
        key = picture.address.url  # with its signature: a newer one may be accepted
        with self._lock:
            since, too_large, sentence = self._refused.get(key, (0.0, False, ""))
        if sentence and 0 <= self._clock() - since < REFUSED_SECONDS:
            raise LimitError(sentence) if too_large else AddressError(sentence)
        try:
            return self._from_web(picture)
        except (AddressError, LimitError) as error:
            if not _may_pass(error):
                with self._lock:
                    self._refused[key] = self._clock(), isinstance(error, LimitError), str(error)
                    self._refused.move_to_end(key)
                    if len(self._refused) > MOST_REFUSED:
                        self._refused.popitem(last=False)
            raise

    def _from_web(self, picture: WebPicture) -> KeptPicture:
        key = address_key(picture.address.url)
        kept = self._folder.get(key)
        age = None if kept is None else self._clock() - kept.checked
        if kept is not None and age is not None and 0 <= age < FRESH_SECONDS:
            return kept
        try:
            answer = self._patience.run(lambda: self._ask(picture, kept), _is_brief, _asked_for)
        except (UnreachableError, RefusedError) as error:
            if kept is None or age is None:
                raise
            if isinstance(error, RefusedError) and error.status in GONE:
                self._folder.forget(key, kept)
            elif _may_pass(error) and 0 <= age < FRESH_SECONDS + STALE_SECONDS:
                _log.warning("A picture could not be asked for again, its copy is used: %s", error)
                return kept
            raise
        validators = Validators(
            _marking(answer.headers.get("etag")), _marking(answer.headers.get("last-modified"))
        )
        if answer.status == 304 and kept is not None:
            return self._folder.confirm(key, kept, validators)
        self._check(answer)
        return self._folder.put(key, answer.body, validators)

    def _ask(self, picture: WebPicture, kept: KeptPicture | None) -> Answer:
        headers: dict[str, str] = {}
        if kept is not None and kept.validators.etag:
            headers["If-None-Match"] = kept.validators.etag
        elif kept is not None and kept.validators.last_modified:
            headers["If-Modified-Since"] = kept.validators.last_modified
        try:
            answer = self._connector.get(
                picture.address,
                headers=headers,
                authorized=picture.authorized,
                allowance=self._allowance,
            )
        except LabelStudioError as error:
            if error.status is None or error.status == 429 or error.status >= 500:
                raise UnreachableError(str(error)) from error
            raise RefusedError(str(error), 401) from error
        if answer.status == 200 or (answer.status == 304 and headers):
            return answer
        own = self._connector.policy.is_own_origin(answer.address)
        reason = about_picture(answer, own=own, authorized=picture.authorized)
        raise RefusedError(reason, answer.status, retry_after(answer.headers))

    def _check(self, answer: Answer) -> None:
        """Only what looks like a picture is kept; its pixels are looked at by whoever decodes."""
        error = self._why_none(answer.body)
        if error is None:
            return
        what = shown(answer.address.url)
        if not answer.is_html:
            raise AddressError(f"{what} {NO_PICTURE}") from error
        if self._connector.policy.is_own_origin(answer.address):
            raise AddressError(
                f"Label Studio answered with a page rather than a picture for {what}: check "
                "LABEL_STUDIO_URL and the token in LABEL_STUDIO_API_KEY."
            ) from error
        raise AddressError(
            f"{answer.address.origin} answered with a page rather than a picture for {what}: "
            "give the address of the picture itself, readable without logging in."
        ) from error

    def _why_none(self, content: bytes) -> ImageError | None:
        """Why this is no picture; it may say how the content begins, which strangers are not told.

        Raises
        ------
        LimitError
            If it is one, and too large.
        """
        try:
            page_count(content, limits=self._limits)
        except LimitError:
            raise
        except ImageError as error:
            return error
        return None


def _bytes(content: bytes, fresh_seconds: float) -> PictureBytes:
    return PictureBytes(content, sha256(content).hexdigest(), fresh_seconds)


def _marking(text: str | None) -> str | None:
    """What may be sent back as it came; None for what no header may hold."""
    good = text is not None and len(text) <= 256 and text.isascii() and text.isprintable()
    return text if good else None


def _may_pass(error: Exception) -> bool:
    if isinstance(error, RefusedError):
        return error.may_pass
    return isinstance(error, UnreachableError)


def _is_brief(error: Exception) -> bool:
    """Whether it may pass soon enough for somebody who waits: not where waiting was in vain."""
    return _may_pass(error) and not isinstance(error.__cause__, TimeoutError)


def _asked_for(error: Exception) -> float | None:
    return error.retry_after if isinstance(error, RefusedError) else None
