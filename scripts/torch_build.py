"""Says which build of torch pip is about to fetch, and how large it is."""

import json
import os
import ssl
import subprocess
import sys
import urllib.error
import urllib.request

CPU_BUILD = "--index-url https://download.pytorch.org/whl/cpu"
"""The options that make pip take a CPU build where none is at hand."""


def planned() -> list[dict]:
    """What pip would download for torch, from its own report."""
    command = [sys.executable, "-m", "pip", "install", "torch", "--constraint", "constraints.txt"]
    report = subprocess.run(
        [*command, "--dry-run", "--quiet", "--report", "-"], stdout=subprocess.PIPE, check=False
    )
    if report.returncode:
        sys.exit("pip could not plan the installation of torch; its own words are above.")
    return json.loads(report.stdout)["install"]


def size(url: str) -> int:
    """Bytes behind a URL; 0 when its server does not tell."""
    trusted = ssl.create_default_context(cafile=os.environ.get("PIP_CERT"))
    request = urllib.request.Request(url, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=20, context=trusted) as answer:
            return int(answer.headers.get("Content-Length") or 0)
    except (OSError, ValueError):
        return 0


def amount(count: int) -> str:
    """Bytes for people."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def main() -> None:
    """One sentence before the download, or none when torch is installed already."""
    packages = planned()
    torch = next((p for p in packages if p["metadata"]["name"] == "torch"), None)
    if torch is None:
        return
    version = torch["metadata"]["version"]
    cuda = [p for p in packages if p["metadata"]["name"].startswith(("nvidia-", "cuda-", "triton"))]
    if not cuda:
        total = size(torch["download_info"]["url"])
        print(f"Installing torch {version}, a CPU build{f' of {amount(total)}' if total else ''}.")
        return
    sizes = [size(p["download_info"]["url"]) for p in (torch, *cuda)]
    known = f"{amount(sum(sizes))}" if all(sizes) else f"more than {amount(max(sum(sizes), 10**9))}"
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    pip = f"{os.path.relpath(sys.executable)} -m pip"
    print(
        f"No CPU build of torch is at hand for Python {python}, so torch {version} comes with its "
        f"CUDA libraries: {known} to download. For the much smaller CPU build stop this now, run\n"
        f"  {pip} install torch=={version.split('+')[0]} {CPU_BUILD}\n"
        "and start again."
    )


if __name__ == "__main__":
    main()
