"""Label Studio, the backend and the sample projects, from start to Ctrl-C."""

import sys
import threading
from contextlib import ExitStack
from pathlib import Path

from filelock import FileLock, Timeout

from labelstudio_backend.errors import ConfigError, LabelStudioError
from labelstudio_backend.fetching import LabelStudioClient
from labelstudio_backend.settings import Settings
from labelstudio_backend.start.access import Access
from labelstudio_backend.start.backend import Backend
from labelstudio_backend.start.label_studio import LOOPBACK, LabelStudio, find_label_studio
from labelstudio_backend.start.sample_projects import (
    BRUSH,
    POLYGON,
    attach,
    sample_project,
    write_samples,
)

__all__ = ["run"]

_READY = """
Label Studio is ready:  {url}
  user      {email}
  password  {password}

Objects as masks:     {url}/projects/{masks}/data
Objects as polygons:  {url}/projects/{polygons}/data

  1. Open a picture, and switch "Auto-Annotation" on, at the bottom.
  2. Press 1 (the label) and K (the tool for smart clicks), and click on an object.
  3. Not right? Press 1 and click on what is missing, or Alt+click on what is too much.
  4. Press the green tick to accept the mask, then Submit.

Ctrl-C ends both. Annotations stay in {folder}
"""


def run(folder: Path, port: int, backend_port: int, over: threading.Event) -> None:
    """Start both, say how to log in, and end both when it is over.

    Parameters
    ----------
    folder
        What is kept: database, pictures, passwords.
    port, backend_port
        Where to listen if nothing else does.
    over
        Set when it is to end.

    Raises
    ------
    ConfigError
        If Label Studio is not installed, or runs in this folder already.
    LabelStudioError
        If one of them does not start, or ends by itself.
    """
    python = find_label_studio()
    if python is None:
        raise ConfigError(
            "Label Studio is not installed here: run scripts/setup-label-studio, or set "
            "LABEL_STUDIO_PYTHON to the Python of an environment that has it."
        )
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(FileLock(folder / "running.lock", timeout=0))
        except Timeout as error:
            raise ConfigError(
                f"Label Studio runs in {folder} already: use it, end it, or choose another "
                "--folder."
            ) from error
        _say("Starting Label Studio; the first time takes about half a minute.")
        access = Access.kept(folder / "access.json")
        files = folder / "files"
        write_samples(files / "samples")
        label_studio = LabelStudio(folder / "label-studio", python, access, port=port, files=files)
        backend = Backend(
            Settings(
                label_studio_url=label_studio.url,
                api_key=access.token,
                host=LOOPBACK,
                port=backend_port,
                user=access.backend_user,
                password=access.backend_password,
                local_files_root=files,
                state_folder=folder / "backend",
            )
        )
        stack.callback(label_studio.stop)
        label_studio.start()
        _say("Starting the backend.")
        stack.callback(backend.stop)
        backend.start()
        client = LabelStudioClient(label_studio.url, access.token)
        numbers = []
        for sample in (BRUSH, POLYGON):
            number = sample_project(client, sample, files / "samples")
            attach(client, number, backend.url, access.backend_user, access.backend_password)
            numbers.append(number)
        _say(
            _READY.format(
                url=label_studio.url,
                email=access.email,
                password=access.password,
                masks=numbers[0],
                polygons=numbers[1],
                folder=folder,
            )
        )
        while not over.wait(1.0):
            for name, program, log in (
                ("Label Studio", label_studio, label_studio.log),
                ("The backend", backend, folder / "backend" / "backend.log"),
            ):
                if not program.runs:
                    raise LabelStudioError(f"{name} has ended by itself: {log} says why.")
        _say("Ending both.")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
