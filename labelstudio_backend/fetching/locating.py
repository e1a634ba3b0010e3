"""What a task's value is: an address of the web, a file of a mounted folder, or the picture itself.

Label Studio writes its own files as paths (`/data/upload/...`), with its public address before
them (`http://localhost:8080/data/local-files/?d=...`), and as links that it resolves for cloud
storage (`/tasks/7/resolve/?fileuri=...`). Each of these is read at LABEL_STUDIO_URL, as the public
address may mean nothing on this machine; and only these are asked for with the token.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import parse_qs, unquote

from labelstudio_backend.errors import AddressError
from labelstudio_backend.fetching.addresses import AddressPolicy
from labelstudio_backend.fetching.web_address import WebAddress, parse_address, shown
from sam_plugins.errors import LimitError

__all__ = ["InlinePicture", "Location", "MountedFile", "WebPicture", "locate"]

_OWN_PATHS = re.compile(
    r"(?:/[^/]+){0,4}?"
    r"(/(?:data/upload/.+|data/local-files/?|storage-data/uploaded/?|"
    r"(?:tasks|projects)/[0-9]+/(?:resolve|presign)/?|projects/[0-9]+/file-proxy/?))"
)
"""Where Label Studio serves pictures, and nothing else does; below a sub-path it may have."""

_LOCAL_FILES = re.compile(r"/data/local-files/?")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_CLOUD = {"s3": "S3", "gs": "Google Cloud", "azure-blob": "Azure", "azure_spi": "Azure"}
_DATA_URI = re.compile(r"data:image/[A-Za-z0-9.+-]+((?:;[A-Za-z0-9=._-]+)*);base64,", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class WebPicture:
    """To be read from the web; `authorized` if Label Studio's token may be sent."""

    address: WebAddress
    authorized: bool


@dataclass(frozen=True, slots=True)
class MountedFile:
    """To be read from the folder of Label Studio's local files; `path` is relative to it."""

    path: str


@dataclass(frozen=True, slots=True)
class InlinePicture:
    """In the task itself."""

    content: bytes


Location: TypeAlias = WebPicture | MountedFile | InlinePicture


def locate(value: str, policy: AddressPolicy, *, mounted: bool, max_bytes: int) -> Location:
    """Where the picture is that a task names.

    Parameters
    ----------
    value
        What the task holds.
    policy
        Knows where Label Studio is.
    mounted
        Whether its folder of local files is here as well.
    max_bytes
        Of a picture in the task itself.

    Raises
    ------
    AddressError
        If it is nothing that is read here; the message says what to do instead.
    LimitError
        If it is in the task itself and too large.
    """
    text = value.strip()
    if not text:
        raise AddressError("The task names no picture: its value is empty.")
    if text[:5].lower() == "data:":
        return _inline(text, max_bytes)
    scheme = _SCHEME.match(text)
    if scheme is None:
        return _path(text, policy, mounted)
    name = scheme[1].lower()
    if name in _CLOUD:
        raise AddressError(
            f"The task names its picture by {name}://, which only its storage understands: add "
            f"the {_CLOUD[name]} storage to the project in Label Studio (Settings, Cloud Storage) "
            "so that it resolves such links, with or without pre-signed URLs."
        )
    if name not in ("http", "https"):
        raise AddressError(
            f"The task names its picture by {name[:20]}:, which is not read: upload it to Label "
            "Studio, serve its folder as Local Files there, or give an http or https address."
        )
    return _address(parse_address(text), policy, mounted)


def _address(address: WebAddress, policy: AddressPolicy, mounted: bool) -> Location:
    own = policy.is_own_origin(address)
    path = _own_path(address.path)
    if path is not None and (own or not policy.is_listed(address)):
        here = policy.home is not None or (mounted and _LOCAL_FILES.fullmatch(path))
        if here:
            return _own(path, address.target, policy, mounted)
    return WebPicture(address, authorized=False)


def _path(text: str, policy: AddressPolicy, mounted: bool) -> Location:
    if not text.startswith("/") or text.startswith(("//", "/\\")):
        raise AddressError(
            f"{shown(text)} is neither an address nor a path of Label Studio's: upload the "
            "picture there, or give an http or https address."
        )
    # The same rules as for a whole address, whatever the path holds.
    address = parse_address(f"http://label-studio{text}")
    path = _own_path(address.path)
    if path is None:
        raise AddressError(
            f"{shown(text)} is not a path that Label Studio serves pictures at, and files of this "
            "machine are not read: upload the picture to Label Studio, or serve its folder as "
            "Local Files there."
        )
    return _own(path, address.target, policy, mounted)


def _own(path: str, target: str, policy: AddressPolicy, mounted: bool) -> Location:
    """What Label Studio serves: `path` is without any sub-path, `target` as it was written."""
    _, question, query = target.partition("?")
    if mounted and _LOCAL_FILES.fullmatch(path):
        return MountedFile(_local_path(query))
    if policy.home is None:
        raise AddressError(
            f"{shown(target)} is a path of Label Studio's, and it is not known where that is: set "
            "LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY."
        )
    parts = unquote(unquote(path)).replace("\\", "/").split("/")
    if "." in parts or ".." in parts:
        raise AddressError(f"{shown(target)} has dots for folders in it: write it without them.")
    return WebPicture(policy.home.below(policy.base_path + path + question + query), True)


def _own_path(path: str) -> str | None:
    """The part of a path that Label Studio knows, without the sub-path that it is served below.

    Label Studio writes the sub-path of its public address into some values and not into others,
    and a proxy may take it away before it reaches Label Studio.
    """
    match = _OWN_PATHS.fullmatch(path)
    return None if match is None else match[1]


def _local_path(query: str) -> str:
    """The parameter `d`, read as Label Studio reads it."""
    values = parse_qs(query, keep_blank_values=True, max_num_fields=20).get("d", [])
    if not values or not values[-1]:
        raise AddressError("The task names a local file of Label Studio's without a path: add ?d=.")
    return values[-1]


def _inline(text: str, max_bytes: int) -> InlinePicture:
    head, comma, body = text.partition(",")
    if not comma or not _DATA_URI.fullmatch(head + comma):
        raise AddressError(
            f"{shown(text[:60])} is no picture in base64: write data:image/png;base64,... or give "
            "an address."
        )
    if "%" in body[-12:] or "%" in body[:200]:
        body = unquote(body)
    if len(body) * 3 // 4 > max_bytes:
        raise LimitError(
            f"The task itself holds a picture of about {len(body) * 3 // 4:,} bytes and at most "
            f"{max_bytes:,} are read: upload it to Label Studio instead."
        )
    try:
        return InlinePicture(base64.b64decode("".join(body.split()), validate=True))
    except (binascii.Error, ValueError) as error:
        raise AddressError(
            "The picture in the task itself is damaged base64: write it again, or give an address."
        ) from error
