"""An address without its signature, which is another one each time that it is asked for."""

import hashlib
import re

__all__ = ["address_key", "without_signature"]

_SIGNATURES = re.compile(
    # Amazon S3 and CloudFront, Google Cloud, Azure's shared access signatures.
    r"x-amz-.*|x-goog-.*|awsaccesskeyid|googleaccessid|key-pair-id|policy|signature|expires|"
    r"response-expires|se|sig|ske|skoid|sks|skt|sktid|skv|sp|spr|sr|st|sv|sip",
    re.IGNORECASE,
)


def without_signature(address: str) -> str:
    """Leave out the fragment, and what the large clouds put into the query to sign an address.

    Parameters
    ----------
    address
        Any value of a task: what is not an address of the web, or is not signed, comes back as it
        is.
    """
    if address[:5].lower() == "data:" or "?" not in address:
        return address
    path, _, query = address.partition("#")[0].partition("?")
    parts = query.split("&")
    names = [part.partition("=")[0] for part in parts]
    # Short names such as `st` mean a signature beside one of the long ones only.
    if not any(re.fullmatch(r"(?i)sig|signature|x-(amz|goog)-signature", name) for name in names):
        return address
    kept = [
        part for part, name in zip(parts, names, strict=True) if not _SIGNATURES.fullmatch(name)
    ]
    return f"{path}?{'&'.join(kept)}" if kept else path


def address_key(address: str) -> str:
    """40 hexadecimal digits: the same for one picture however its address is signed."""
    return hashlib.sha256(without_signature(address).encode("utf-8", "replace")).hexdigest()[:40]
