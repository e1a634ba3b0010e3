"""The backend's own settings and its folder."""

import os
import shutil

from labelstudio_backend.doctor.finding import Finding, fail, ok, warn
from labelstudio_backend.doctor.visit import Visit

__all__ = ["settings", "state_folder"]

_LITTLE, _VERY_LITTLE = 2 * 2**30, 200 * 2**20


def settings(visit: Visit) -> Finding:
    """Whether the settings go together."""
    from labelstudio_backend.fetching.addresses import AddressPolicy
    from labelstudio_backend.server.auth import check_listening

    own = visit.settings
    if own.label_studio_url is None:
        return fail(
            "LABEL_STUDIO_URL is not set.",
            "Set it to Label Studio's address, with its sub-path: http://localhost:8080.",
        )
    AddressPolicy(own.label_studio_url, own.allowed_hosts)
    check_listening(own)
    if own.local_files_root is not None and not own.local_files_root.is_dir():
        return fail(
            f"LOCAL_FILES_DOCUMENT_ROOT is {own.local_files_root}, which is no folder here.",
            "Mount the folder that Label Studio serves at this path, or unset the variable: the "
            "backend then asks Label Studio for the files.",
        )
    asks = "with a password" if own.user is not None else "without a password"
    return ok(f"Listens on {own.host}:{own.port} {asks}; {own.workers} worker(s).")


def state_folder(visit: Visit) -> Finding:
    """Whether the folder for queues, pictures and models can be written and has room."""
    folder = visit.settings.state_folder
    probe = folder / f".doctor-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"x" * 4096)
        probe.unlink()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return fail(
            f"{folder} cannot be written: {error.strerror or error}.",
            "Give the user that runs the backend the right to write there, or set MODEL_DIR to a "
            "folder that it may write to.",
        )
    room = f"{folder} has {free / 2**30:.1f} GB free."
    if free < _VERY_LITTLE:
        return fail(room, "Make room, or set MODEL_DIR to a folder on a larger disk.")
    if free < _LITTLE:
        return warn(room, "Pictures and embeddings are kept there: make room before long.")
    return ok(room)
