"""From what a task names to pixels: once per picture, whoever asks."""

from collections.abc import Callable
from concurrent.futures import Future
from hashlib import sha256
from threading import BoundedSemaphore, Lock

from labelstudio_backend.fetching.addresses import AddressPolicy
from labelstudio_backend.fetching.connecting import Connector
from labelstudio_backend.fetching.files import PictureFiles
from labelstudio_backend.fetching.memory import PictureMemory
from labelstudio_backend.fetching.picture_folder import PictureFolder
from labelstudio_backend.fetching.stable_address import address_key
from labelstudio_backend.settings import Settings
from labelstudio_backend.values import LoadedPicture, Picture
from sam_plugins.images import Limits, load_image

__all__ = ["PictureReader"]

DECODED_AT_ONCE = 4
"""A picture may take several hundred megabytes while it is decoded."""


class PictureReader:
    """Reads pictures and keeps those used last. Safe to share between threads.

    Parameters
    ----------
    settings
        Where Label Studio is, what else may be read, and where files are kept.
    files
        Instead of the reader's own.
    memory
        Instead of the reader's own.
    limits
        Of one picture.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        files: PictureFiles | None = None,
        memory: PictureMemory | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._limits = limits or Limits.strict()
        self._files = files or _open_files(settings, self._limits)
        self._memory = memory or PictureMemory()
        self._decoding = BoundedSemaphore(DECODED_AT_ONCE)
        self._flights = _Flights()

    def load(self, picture: Picture) -> LoadedPicture:
        """Read a picture; blocks while it is on its way, also if another thread asked first.

        Returns
        -------
        Its pixels, upright, which are not to be written to, and a key that depends on the content
        of the file and the page only.

        Raises
        ------
        AddressError
            If it may not be read, is not there, or is no picture.
        ImageError
            If it is damaged or has no such page.
        LimitError
            If it is too large.
        """
        address = f"{address_key(picture.address)}/{picture.page}"
        found = self._memory.at(address)
        if found is not None:
            return found
        return self._flights.join(address, lambda: self._read(address, picture))

    def close(self) -> None:
        """Let the pictures in memory go."""
        self._memory.clear()

    def _read(self, address: str, picture: Picture) -> LoadedPicture:
        found = self._memory.at(address)
        if found is not None:
            return found
        file = self._files.read(picture.address)
        key = sha256(f"{file.digest} page {picture.page}".encode()).hexdigest()
        loaded = self._memory.get(key)
        if loaded is None:
            with self._decoding:
                rgb = load_image(file.content, page=picture.page, limits=self._limits)
            rgb.flags.writeable = False
            loaded = LoadedPicture(rgb, key)
        self._memory.put(address, file.fresh_seconds, loaded)
        return loaded


class _Flights:
    """Lets one thread do what several ask for, and gives all of them what came of it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._futures: dict[str, Future[LoadedPicture]] = {}

    def join(self, key: str, call: Callable[[], LoadedPicture]) -> LoadedPicture:
        with self._lock:
            future = self._futures.get(key)
            if future is None:
                mine = self._futures[key] = Future()
        if future is not None:
            return future.result()
        try:
            result = call()
        except BaseException as error:
            self._land(key)
            mine.set_exception(error)
            raise
        self._land(key)
        mine.set_result(result)
        return result

    def _land(self, key: str) -> None:
        with self._lock:
            del self._futures[key]


def _open_files(settings: Settings, limits: Limits) -> PictureFiles:
    policy = AddressPolicy(settings.label_studio_url, settings.allowed_hosts)
    return PictureFiles(
        Connector(policy, settings.api_key),
        PictureFolder(settings.state_folder / "pictures"),
        settings.local_files_root,
        limits=limits,
    )
