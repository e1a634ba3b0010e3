"""Who does something, where nobody says."""

import getpass

__all__ = ["this_user"]


def this_user() -> str:
    """Name of the user of this computer; "curator" where it has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "curator"
