"""The project: its labelling config, its pictures and where they are stored."""

from typing import Any

from labelstudio_backend.doctor.finding import Finding, fail, ok, skip, warn
from labelstudio_backend.doctor.visit import Visit
from labelstudio_backend.errors import AddressError, ConfigError, LabelStudioError, RequestError
from sam_plugins.errors import SamPluginsError

__all__ = ["config", "exists", "picture", "storages"]

_SMART = ("keypoint", "rectangle", "brush")
_SERVES_THROUGH = "localfiles"


def exists(visit: Visit) -> Finding:
    """Whether the project is there and may be seen."""
    if visit.number is None:
        return skip("No project was given.", "Add --project with its number to look at it as well.")
    try:
        fields = visit.project
    except LabelStudioError as error:
        if error.status == 404:
            return fail(
                f"Label Studio has no project {visit.number} for this user.",
                "Take the number from the address of the project's page (/projects/NUMBER), or "
                "make the token's user a member of it.",
            )
        raise
    return ok(f"'{fields.get('title')}' with {fields.get('task_number', 0)} task(s).")


def config(visit: Visit) -> Finding:
    """Whether clicks can be given, and answers be written for every label that can be picked."""
    found = visit.config
    image = found.image().name
    smart = [tag for tag in found.controls if tag.smart and tag.kind in _SMART]
    outputs = []
    for tag in smart:
        for to_name in tag.to_names:
            for label in (*tag.written_labels(), *tag.brought_labels()) or (None,):
                try:
                    outputs.append(found.output(label, to_name))
                except ConfigError as error:
                    return fail(
                        str(error),
                        f'Add <BrushLabels name="brush" toName="{to_name}"> with this label to the '
                        "labelling config, or <PolygonLabels>, or take the label from the smart "
                        "tool.",
                    )
    if not smart:
        found.output(None, image) if not found.controls else None
        return warn(
            "No tag is smart: nobody can click in Label Studio's window.",
            f'Add <KeyPointLabels name="click" toName="{image}" smart="true"> with the same labels '
            "as the brush or polygon tag; whole projects can be annotated without.",
        )
    if found.notes:
        return warn(" ".join(found.notes), "Correct the labelling config as it says.")
    written = ", ".join(sorted({tag.name for tag in outputs}))
    return ok(f"Smart: {', '.join(tag.name for tag in smart)}. Answers are written with {written}.")


def picture(visit: Visit) -> Finding:
    """Whether the first task's pictures can be had."""
    task = visit.first_task
    if task is None:
        return skip("The project has no task.", "Import a picture and run this again.")
    try:
        shown = visit.config.pictures(task.get("data") or {})
        to_name, _, wanted = shown[0]
        loaded = visit.pictures.load(wanted)
    except RequestError as error:
        return fail(str(error), "Import tasks whose data have what the image tag's value names.")
    except AddressError as error:
        return fail(f"Task {task['id']}: {error}", _how(str(error)))
    except SamPluginsError as error:
        return fail(f"Task {task['id']}: {error}", "Replace this picture; others may be readable.")
    height, width = loaded.size
    return ok(f"Task {task['id']}, '{to_name}': {width} x {height} pixels.")


def _how(said: str) -> str:
    if "SAM_PLUGINS_ALLOWED_HOSTS" in said:
        return "Set SAM_PLUGINS_ALLOWED_HOSTS as it says, if you trust that host, and start again."
    return (
        "See that the picture opens in Label Studio's window, and that this machine reaches the "
        "host that it is on."
    )


def storages(visit: Visit) -> Finding:
    """Where pictures are stored, and whether links to them are made in a way that works."""
    listed: Any = visit.client.get("/api/storages", {"project": visit.wanted})
    if not isinstance(listed, list) or not listed:
        return ok("None is connected: pictures were uploaded, or tasks hold their addresses.")
    names = []
    for each in listed:
        kind = str(each.get("type", "storage"))
        names.append(f"{kind} '{each.get('title') or each.get('id')}'")
        if each.get("status") == "failed":
            return warn(
                f"The last synchronisation of {names[-1]} failed.",
                "See its error in the project's settings, Cloud Storage.",
            )
        if kind != _SERVES_THROUGH and each.get("presign") and not visit.settings.allowed_hosts:
            return warn(
                f"{names[-1]} answers with links to its own host, and no other host than Label "
                "Studio's is allowed.",
                "Add that host to SAM_PLUGINS_ALLOWED_HOSTS (the line 'picture' names it), or "
                "switch off 'Use pre-signed URLs' in the storage's settings.",
            )
    return ok(", ".join(names) + ".")
