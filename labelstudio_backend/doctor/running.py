"""All checks in their order; each line of the table is one of them."""

from collections.abc import Iterator

from labelstudio_backend.doctor import backend, label_studio, own_settings, project
from labelstudio_backend.doctor.finding import Check, Finding, skip
from labelstudio_backend.doctor.visit import Visit
from sam_plugins.errors import SamPluginsError

__all__ = ["CHECKS", "examine"]

CHECKS: tuple[Check, ...] = (
    Check("settings", own_settings.settings),
    Check("state folder", own_settings.state_folder),
    Check("Label Studio", label_studio.reachable, ("settings",)),
    Check("token", label_studio.token, ("Label Studio",)),
    Check("project", project.exists, ("token",)),
    Check("labelling config", project.config, ("project",)),
    Check("storage", project.storages, ("project",)),
    Check("picture", project.picture, ("project", "labelling config")),
    Check("attached", backend.attached, ("project",)),
    Check("network", backend.may_connect, ("token",)),
    Check("webhook", backend.webhook, ("project",)),
    Check("backend", backend.answers),
)


def examine(visit: Visit) -> Iterator[tuple[Check, Finding]]:
    """Run every check; one that needs another is skipped where that was not passed."""
    passed: set[str] = set()
    for check in CHECKS:
        absent = [name for name in check.needs if name not in passed]
        if absent:
            finding = skip(f"Needs '{absent[0]}'.")
        else:
            try:
                finding = check.run(visit)
            except SamPluginsError as error:
                finding = Finding("fail", str(error), "See what it says, then run this again.")
        if finding.grade in ("ok", "warn"):
            passed.add(check.name)
        yield check, finding
