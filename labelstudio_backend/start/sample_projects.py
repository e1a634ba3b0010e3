"""Two projects with sample pictures, made once: one answers with brush masks, one with polygons."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labelstudio_backend.fetching import LabelStudioClient

__all__ = [
    "BRUSH",
    "POLYGON",
    "SAMPLES",
    "SampleProject",
    "attach",
    "sample_project",
    "write_samples",
]

SAMPLES = ("coins", "nuclei", "cat", "coffee", "astronaut", "objects", "cells")
LABELS = (("Object", "#e8590c"), ("Other", "#1971c2"))


@dataclass(frozen=True, slots=True)
class SampleProject:
    """What a sample project is made of.

    Parameters
    ----------
    title
        By which it is found again.
    output
        The tag that answers are written with, and its attributes.
    """

    title: str
    output: str

    @property
    def label_config(self) -> str:
        """Its labelling config: smart clicks, smart boxes, the output, the picture."""
        click = _group("Click", 'KeyPointLabels name="click" smart="true" smartOnly="true"')
        box = _group("Box", 'RectangleLabels name="box" smart="true" smartOnly="true"')
        by_hand = _group("By hand", f'{self.output} name="mask"')
        return "\n".join(
            (
                "<View>",
                '  <View style="display: flex; gap: 2em">',
                *click,
                *box,
                *by_hand,
                "  </View>",
                '  <Image name="image" value="$image" zoom="true"/>',
                "</View>",
            )
        )


BRUSH = SampleProject("sam-plugins: masks", "BrushLabels")
POLYGON = SampleProject("sam-plugins: polygons", 'PolygonLabels sam_simplify="1.0"')


def write_samples(folder: Path) -> None:
    """Write the sample pictures as PNG files, those that are missing.

    Parameters
    ----------
    folder
        Made where it is not there.
    """
    from PIL import Image

    from sam_plugins import load_sample

    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(SAMPLES, 1):
        file = folder / f"{number}-{name}.png"
        if not file.exists():
            part = file.with_suffix(".part")
            Image.fromarray(load_sample(name).image).save(part, "PNG")
            part.replace(file)


def sample_project(client: LabelStudioClient, sample: SampleProject, folder: Path) -> int:
    """The number of a sample project; it is made with all pictures of a folder if it is new.

    Parameters
    ----------
    client
        Of a Label Studio that serves local files from a folder above.
    sample
        Which.
    folder
        Of its pictures.

    Raises
    ------
    LabelStudioError
        If Label Studio refuses.
    """
    found = client.get("/api/projects/", {"title": sample.title, "page_size": 100})
    for project in found.get("results", ()):
        if project.get("title") == sample.title and project.get("task_number"):
            return int(project["id"])
    made = client.create_project(sample.title, sample.label_config)
    number = int(made["id"])
    client.post(
        "/api/storages/localfiles",
        {
            "project": number,
            "title": "Sample pictures",
            "path": str(folder.absolute()),
            "regex_filter": r".*\.png$",
            "use_blob_urls": True,
        },
    )
    # The storage permits the folder. It is not synchronised: that would write the port of today
    # into the tasks.
    client.import_tasks(
        number,
        [
            {"image": f"/data/local-files/?d={folder.name}/{picture.name}"}
            for picture in sorted(folder.glob("*.png"))
        ],
    )
    return number


def attach(
    client: LabelStudioClient, project: int, url: str, user: str, password: str
) -> dict[str, Any]:
    """Make the backend the interactive model of a project, and let its webhook log in.

    What was attached before under another port of this machine is brought up to date.

    Raises
    ------
    LabelStudioError
        If Label Studio refuses, or cannot reach the backend.
    """
    attached = client.ml_backends(project)
    if not attached:
        model = client.create_ml_backend(project, url, user=user, password=password)
    else:
        model = attached[0]
        model = client.patch(
            f"/api/ml/{model['id']}",
            {
                "url": url,
                "project": project,
                "is_interactive": True,
                "auth_method": "BASIC_AUTH",
                "basic_auth_user": user,
                "basic_auth_pass": password,
            },
        )
    login = base64.b64encode(f"{user}:{password}".encode()).decode()
    content = {
        "url": f"{url}/webhook",
        "headers": {"Authorization": f"Basic {login}"},
        "send_payload": True,
        "send_for_all_actions": True,
        "is_active": True,
    }
    hooks = list(_hooks(client, project))
    if hooks:
        client.patch(f"/api/webhooks/{hooks[0]['id']}/", content)
    else:
        client.post("/api/webhooks/", {"project": project, **content})
    return dict(model)


def _hooks(client: LabelStudioClient, project: int) -> Iterator[dict[str, Any]]:
    for hook in client.get("/api/webhooks/", {"project": project}) or ():
        if str(hook.get("url", "")).endswith("/webhook"):
            yield hook


def _group(title: str, tag: str) -> Iterator[str]:
    name = tag.split()[0]
    yield f'    <View><Header value="{title}" size="6"/>'
    yield f'    <{tag} toName="image">'
    for value, colour in LABELS:
        yield f'      <Label value="{value}" background="{colour}"/>'
    yield f"    </{name}></View>"
