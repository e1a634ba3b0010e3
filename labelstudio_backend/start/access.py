"""`Access`: who may log in to a local Label Studio, made once and kept beside its data."""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from labelstudio_backend.errors import ConfigError

__all__ = ["Access"]


@dataclass(frozen=True, slots=True)
class Access:
    """Names and secrets of one local Label Studio and its backend.

    Parameters
    ----------
    email, password
        To log in to Label Studio.
    token
        A legacy token of that user.
    backend_user, backend_password
        What Label Studio says to the backend.
    """

    email: str
    password: str
    token: str
    backend_user: str
    backend_password: str

    @classmethod
    def kept(cls, file: Path) -> Self:
        """Those of a file that only its owner can read; made where there is none.

        Raises
        ------
        ConfigError
            If the file holds something else.
        """
        try:
            return cls(**json.loads(file.read_text()))
        except FileNotFoundError:
            pass
        except (ValueError, TypeError) as error:
            raise ConfigError(
                f"{file} must hold the names and passwords of this Label Studio, and does not: "
                "delete its folder to start anew."
            ) from error
        made = cls(
            email="you@example.com",
            password=secrets.token_urlsafe(9),
            token=secrets.token_hex(20),
            backend_user="label-studio",
            backend_password=secrets.token_urlsafe(24),
        )
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix(f".{os.getpid()}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            json.dump(asdict(made), out)
        os.replace(fresh, file)
        return made
