"""Put the parts together and serve them until somebody says stop."""

import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labelstudio_backend.errors import ConfigError
from labelstudio_backend.server.auth import check_listening
from labelstudio_backend.server.logs import configure_logs
from labelstudio_backend.server.processes import is_alive
from labelstudio_backend.settings import Settings

if TYPE_CHECKING:
    from labelstudio_backend.answering import Meters
    from labelstudio_backend.server.handlers import Handlers
    from labelstudio_backend.server.visits import Visits

__all__ = ["create_app", "open_handlers", "serve"]

FINISH_SECONDS = 30
"""For requests that run when the server is told to stop."""

CLOSE_SECONDS = 15.0
"""For the model after that."""

LEAVE_SECONDS = 5.0
"""For threads that are still busy after both."""

_log = logging.getLogger(__name__)


def open_handlers(settings: Settings, meters: "Meters | None" = None) -> "Handlers":
    """Put the backend together; the model is opened behind it.

    Parameters
    ----------
    settings
        How it runs.
    meters
        Where is measured; nowhere by default.
    """
    from labelstudio_backend.answering import Annotator
    from labelstudio_backend.fetching import PictureReader
    from labelstudio_backend.learning import Intake
    from labelstudio_backend.server.handlers import Handlers
    from labelstudio_backend.server.next_tasks import NextTasks

    pictures = PictureReader(settings)
    measured: dict[str, Any] = {} if meters is None else {"meters": meters}
    annotator = Annotator(settings, pictures, **measured)
    intake = Intake(settings.state_folder)
    next_tasks = NextTasks.open(settings, annotator.prefetch)
    return Handlers(
        annotator,
        intake,
        batch_seconds=settings.batch_seconds,
        look_ahead=next_tasks,
        closing=[pictures.close, intake.close, *([next_tasks.close] if next_tasks else [])],
        **measured,
    )


def serve(settings: Settings) -> None:
    """Answer until SIGTERM or SIGINT, then finish what runs.

    Raises
    ------
    ConfigError
        If it would be open to other machines without a password, or the port is taken.
    """
    import uvicorn

    from labelstudio_backend.server.sentences import SentenceProtocol

    check_listening(settings)
    with _listening(settings) as listener:
        configure_logs(settings.log_level, (settings.api_key, settings.password))
        options: dict[str, Any] = {
            "host": settings.host,
            "port": listener.getsockname()[1],
            "http": SentenceProtocol,
            "ws": "none",
            "log_config": None,
            "access_log": False,
            "server_header": False,
            "proxy_headers": False,
            "timeout_graceful_shutdown": FINISH_SECONDS,
        }
        _log.info("the address for Label Studio: %s", _address(settings, options["port"]))
        if settings.workers == 1:
            config = uvicorn.Config(create_app(settings), **options)
            with _ended_by_signals():
                uvicorn.Server(config).run(sockets=[listener])
            return
    with _shared_metrics(settings) as folder, _environment(settings, folder):
        uvicorn.run(
            "labelstudio_backend.server.serving:create_app",
            factory=True,
            workers=settings.workers,
            # Imports on a busy machine take longer than the five seconds that are given otherwise.
            timeout_worker_healthcheck=30,
            **options,
        )


def create_app(settings: Settings | None = None) -> "Visits":
    """The web application of one process; a worker reads its settings from the environment."""
    from labelstudio_backend.server.metrics import MULTIPROCESS, PrometheusMeters
    from labelstudio_backend.server.routes import make_app

    if settings is None:
        settings = Settings.from_environment()
        configure_logs(settings.log_level, (settings.api_key, settings.password))
        _end_with_parent()
    folder = os.environ.get(MULTIPROCESS)
    meters = PrometheusMeters(Path(folder) if folder else None)
    handlers = open_handlers(settings, meters)
    return make_app(settings, handlers, meters, close_seconds=CLOSE_SECONDS)


@contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    """A socket that is bound; port 0 is any that is free.

    Raises
    ------
    ConfigError
        If nothing can listen there.
    """
    listener = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except (OSError, OverflowError) as error:
        if listener is not None:
            listener.close()
        raise ConfigError(
            f"HOST and PORT must be free to listen on, found {settings.host}:{settings.port}: "
            f"{error}. Choose another port, or end what listens there."
        ) from error
    with listener:
        yield listener


def _address(settings: Settings, port: int) -> str:
    """As Label Studio is told; a backend that listens everywhere has this machine's name."""
    host = settings.host
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """End with 0 after SIGTERM or SIGINT, which uvicorn raises again when it is done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda *_: None) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
    if any(thread.name.startswith("AnyIO worker") for thread in threading.enumerate()):
        leaving = threading.Timer(LEAVE_SECONDS, _leave)
        leaving.daemon = True  # an interpreter that can end by itself does so
        leaving.start()


def _end_with_parent() -> None:
    """Stop this worker when the process that started it is killed: nobody else would.

    It would keep the port, and the model.
    """
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        _log.warning("the server was killed, and this worker ends")
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="sam-plugins parent", daemon=True).start()


def _leave() -> None:
    """End although an answer that nobody waits for is still being made."""
    _log.warning("an answer was not finished in time and is given up")
    os._exit(0)


@contextmanager
def _shared_metrics(settings: Settings) -> Iterator[Path]:
    """A folder that worker processes count in, gone afterwards; so are those of killed servers."""
    settings.state_folder.mkdir(parents=True, exist_ok=True)
    for left in settings.state_folder.glob("metrics-*"):
        number = left.name.split("-")[1]
        if number.isdigit() and not is_alive(int(number)):
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"metrics-{os.getpid()}-", dir=settings.state_folder))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _environment(settings: Settings, folder: Path) -> Iterator[None]:
    """Settings as worker processes read them."""
    from labelstudio_backend.server.metrics import MULTIPROCESS

    before = dict(os.environ)
    os.environ.update({**settings.as_environment(), MULTIPROCESS: str(folder)})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
