"""The backend: whether it answers, whether Label Studio may reach it, and how it is attached."""

from typing import Any

from labelstudio_backend.doctor import networks
from labelstudio_backend.doctor.finding import Finding, fail, ok, skip, warn
from labelstudio_backend.doctor.visit import Visit
from labelstudio_backend.errors import LabelStudioError

__all__ = ["answers", "attached", "may_connect", "webhook"]

_SECONDS = 5.0
_MODEL_PAGE = "in the project's settings, Model"


def answers(visit: Visit) -> Finding:
    """Whether the backend answers this machine, and whether its model is open."""
    import requests

    url, own = visit.backend_url, visit.settings
    login = None if own.user is None else (own.user, own.password or "")
    with requests.Session() as session:
        session.trust_env = False
        try:
            health, versions = (
                session.get(f"{url}/{way}", timeout=_SECONDS, auth=login, allow_redirects=False)
                for way in ("health", "versions")
            )
        except (requests.RequestException, ValueError) as error:
            return fail(
                f"{url} does not answer this machine ({type(error).__name__}).",
                "Start it by `sam-plugins labelstudio serve`, or give its address by --backend; if "
                "only Label Studio's network reaches it, run this there.",
            )
    said = _object(health)
    if health.status_code != requests.codes.ok or said.get("status") != "UP":
        return fail(
            f"{url} answers /health with {health.status_code}, and not as an ML backend.",
            "Give the address of `sam-plugins labelstudio serve` by --backend.",
        )
    if versions.status_code == requests.codes.unauthorized:
        return fail(
            f"{url} wants another user or password than those set here.",
            "Set BASIC_AUTH_USER and BASIC_AUTH_PASS here as they are set where it runs.",
        )
    if said.get("error"):
        return fail(
            f"{url} answers, and its model cannot be used: {said['error']}",
            "Correct SAM_PLUGINS_MODEL or the model's file; the backend's log says more.",
        )
    version = said.get("model_version")
    if not version:
        return warn(
            f"{url} answers, and its model is not open yet.", "Wait some seconds and run again."
        )
    return ok(f"{url} answers with the model {version}.")


def may_connect(visit: Visit) -> Finding:
    """Whether Label Studio's guard lets it connect to the backend; nothing is attached for it.

    A model without a project is never stored, and its address is checked before that is noticed.
    """
    url = visit.backend_url
    for what, path, content in (
        ("model", "/api/ml/", {"url": url}),
        ("webhook", "/api/webhooks/", {"url": f"{url}/webhook", "actions": ["NONE"]}),
    ):
        said = _refusal(visit, path, content)
        block = networks.refused_block(said)
        if block is not None:
            return fail(
                f"Label Studio refuses {url} as a {what}: it is in {block}, a private network.",
                *networks.advice(url),
            )
        if "resolve hostname" in said:
            return fail(
                f"Label Studio does not know the host of {url}.",
                "Attach the backend by a name or number that the machine of Label Studio knows; "
                "from inside a container localhost is the container itself.",
            )
    if networks.dotless(url):
        return warn(
            f"Label Studio takes no webhook for {url}: the name has no dot.",
            "Attach the backend by its number or a name with a dot (a network alias such as "
            "backend.internal), or submitted annotations do not reach it.",
        )
    return ok(f"Label Studio may connect to {url}.")


def attached(visit: Visit) -> Finding:
    """Whether the project has the backend, answers clicks by it, and logs in to it."""
    found, url = visit.of_backend(), visit.backend_url
    if found is None:
        others = ", ".join(str(each.get("url")) for each in visit.attached)
        return fail(
            f"The project has no model at {url}" + (f", only {others}." if others else "."),
            f"Add it {_MODEL_PAGE} > Connect Model with this address, with 'Interactive "
            "preannotations' on; if it has a password, choose Basic Authentication.",
        )
    if found.get("state") not in ("CO", "TR", "PR"):
        error = str(found.get("error_message") or "").strip()
        return fail(
            f"Label Studio finds {url} '{found.get('readable_state')}'"
            + (f": {error[:300]}" if error else "."),
            "See the lines 'labelling config', 'network' and 'backend'; then open its menu "
            f"{_MODEL_PAGE} > Edit and save, with the user and password of BASIC_AUTH_USER and "
            "BASIC_AUTH_PASS if set.",
        )
    if not found.get("is_interactive"):
        return fail(
            f"{url} is attached, and not asked for clicks.",
            f"Switch 'Interactive preannotations' on: {_MODEL_PAGE} > Edit.",
        )
    if visit.settings.user is not None and found.get("auth_method") != "BASIC_AUTH":
        return fail(
            f"{url} is attached without a password, and the backend wants one.",
            f"Choose Basic Authentication {_MODEL_PAGE} > Edit, with BASIC_AUTH_USER and "
            "BASIC_AUTH_PASS.",
        )
    return ok(f"'{found.get('title')}' at {url}, interactive.")


def webhook(visit: Visit) -> Finding:
    """Whether submitted annotations reach the backend."""
    if visit.of_backend() is None:
        return skip("The backend is not attached.")
    wanted = f"{visit.backend_url}/webhook"
    listed: Any = visit.client.get("/api/webhooks/", {"project": visit.wanted})
    found = next(
        (each for each in listed or () if str(each.get("url", "")).rstrip("/") == wanted), None
    )
    where = "in the project's settings, Webhooks"
    if found is None:
        why = (
            "Label Studio made none, as the host's name has no dot."
            if networks.dotless(wanted)
            else "Label Studio made none when the model was attached, or it was deleted."
        )
        return warn(
            f"Submitted annotations do not reach {wanted}. {why}",
            f"Add it {where}, with the payload and all actions; see the line 'network' if it is "
            "refused.",
        )
    actions = set(found.get("actions") or ())
    some = (
        found.get("send_for_all_actions") or {"ANNOTATION_CREATED", "ANNOTATION_UPDATED"} <= actions
    )
    if not (found.get("is_active") and found.get("send_payload") and some):
        return warn(
            f"The webhook {wanted} is off, sends no payload, or not for annotations.",
            f"Switch it on with the payload and all actions: {where}.",
        )
    headers = {str(name).lower() for name in found.get("headers") or {}}
    if visit.settings.user is not None and "authorization" not in headers:
        return warn(
            f"The webhook {wanted} does not log in, and the backend wants a password: webhooks do "
            "not take the model's along.",
            f'Give it {where} the header "Authorization" with "Basic " and the base64 of '
            "BASIC_AUTH_USER:BASIC_AUTH_PASS.",
        )
    return ok(f"Submitted annotations are sent to {wanted}.")


def _refusal(visit: Visit, path: str, content: dict[str, Any]) -> str:
    """What Label Studio says against something that cannot be stored."""
    try:
        visit.client.post(path, content)
    except LabelStudioError as error:
        if error.status is None:
            raise
        return str(error)
    return ""


def _object(answer: Any) -> dict[str, Any]:
    try:
        content = answer.json()
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
