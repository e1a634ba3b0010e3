"""The real programs of a test run: each started once, when it is first asked for."""

from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from labelstudio_backend.fetching import LabelStudioClient
from labelstudio_backend.settings import Settings
from labelstudio_backend.start import Access, Backend, LabelStudio, find_label_studio


class RealPrograms:
    """Ends in the reverse order what it has started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = folder / "files"
        self._stack = ExitStack()
        self.logged_in: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @cached_property
    def access(self) -> Access:
        return Access.kept(self.folder / "access.json")

    @cached_property
    def label_studio(self) -> LabelStudio:
        python = find_label_studio()
        assert python is not None
        self.files.mkdir()
        studio = LabelStudio(self.folder / "label-studio", python, self.access, files=self.files)
        self._stack.callback(studio.stop)
        studio.start()
        return studio

    @cached_property
    def client(self) -> LabelStudioClient:
        return LabelStudioClient(self.label_studio.url, self.access.token)

    @cached_property
    def backend(self) -> Backend:
        backend = Backend(
            Settings(
                label_studio_url=self.label_studio.url,
                api_key=self.access.token,
                port=0,
                user=self.access.backend_user,
                password=self.access.backend_password,
                state_folder=self.folder / "backend",
            )
        )
        self._stack.callback(backend.stop)
        backend.start()
        return backend
