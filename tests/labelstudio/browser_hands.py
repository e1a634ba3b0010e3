"""What an annotator does in Label Studio's window, and what comes of it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

WINDOW = {"width": 1400, "height": 950}
DEADLINE = 30_000


class BrowserHands:
    """One annotator before one window.

    Parameters
    ----------
    browser
        Of playwright.
    url
        Of Label Studio; the page may ask nobody else.
    shots, name
        Where pictures of the steps go, and how their names begin.
    state
        Cookies of somebody who has logged in before.
    """

    def __init__(self, browser: Any, url: str, shots: Path, name: str, state: Any = None) -> None:
        self.url = url
        self.shots = shots
        self.name = name
        self.elsewhere: list[str] = []
        self.asked: list[dict[str, Any]] = []
        self._taken = 0
        self.context = browser.new_context(viewport=WINDOW, storage_state=state)
        self.context.set_default_timeout(DEADLINE)
        self.context.route("**/*", self._only_label_studio)
        self.page = self.context.new_page()
        self.page.on("response", self._note)

    def close(self) -> None:
        self.context.close()

    def log_in(self, email: str, password: str) -> None:
        self.page.goto(f"{self.url}/user/login/")
        self.page.fill("input[name=email]", email)
        self.page.fill("input[name=password]", password)
        self.page.click("button[type=submit]")
        self.page.wait_for_url(lambda url: "login" not in url)

    def open_task(self, project: int, task: int) -> None:
        """Open a task, and wait until its picture is there."""
        with self.page.expect_response(lambda answer: f"/api/tasks/{task}" in answer.url):
            self.page.goto(f"{self.url}/projects/{project}/data?task={task}")
        self._wait_for_picture()

    def reload(self) -> None:
        self.page.reload()
        self._wait_for_picture()

    def turn_to_page(self, number: int) -> None:
        """Another picture of a list of pictures, counted from 1."""
        field = self.page.locator(".lsf-pagination__input input, .lsf-pagination input").first
        field.fill(str(number))
        field.press("Enter")

    def auto_annotation(self) -> None:
        """Switch it on."""
        toggle = self.page.locator('label:has-text("Auto-Annotation") input[type=checkbox]')
        if not toggle.is_checked():
            self.page.locator('label:has-text("Auto-Annotation")').click()
        self.page.wait_for_function("element => element.checked", arg=toggle.element_handle())

    def auto_accept(self) -> None:
        self.page.locator('label:has-text("Auto-Accept Suggestions")').click()

    def smart_click(self, number: int) -> None:
        """Take the tool for smart clicks by its key, and the label of that number on the page.

        Labels are counted from 0. Keys reach no tool while the switch has the focus that was
        clicked last, so the label comes first, as for annotators.
        """
        self._tool(number, "k", "key-point-tool")

    def smart_box(self, number: int) -> None:
        """Take the tool for smart boxes, as `smart_click`."""
        self._tool(number, "r", "rectangle-tool")

    def choose(self, number: int) -> None:
        """Choose a label; one that is chosen stays so."""
        label = self.page.locator(".lsf-label").nth(number)
        if "lsf-label_selected" not in (label.get_attribute("class") or ""):
            label.click()

    def click(self, x: float, y: float, *, negative: bool = False) -> dict[str, Any]:
        """Click at a place of the picture, in its pixels, and wait for the backend's answer."""
        place = self._place(x, y)
        with self._answer() as answer:
            if negative:
                self.page.keyboard.down("Alt")
            self.page.mouse.click(*place)
            if negative:
                self.page.keyboard.up("Alt")
        return self._content(answer)

    def drag(self, box: tuple[float, float, float, float]) -> dict[str, Any]:
        """Draw a box, xyxy in pixels of the picture, and wait for the backend's answer."""
        x0, y0 = self._place(*box[:2])
        x1, y1 = self._place(*box[2:])
        with self._answer() as answer:
            self.page.mouse.move(x0, y0)
            self.page.mouse.down()
            self.page.mouse.move((x0 + x1) / 2, (y0 + y1) / 2, steps=5)
            self.page.mouse.move(x1, y1, steps=5)
            self.page.mouse.up()
        return self._content(answer)

    def accept(self) -> None:
        """Press the tick beside the number of suggestions."""
        tick = self.page.locator('[data-testid="bottombar-accept-suggestions-button"]')
        tick.click()
        tick.wait_for(state="detached")

    def submit(self) -> int:
        """Press Submit; gives the number of the annotation."""
        with self.page.expect_response(
            lambda answer: (
                answer.request.method in ("POST", "PATCH")
                and "/annotations" in urlsplit(answer.url).path
                and answer.ok
            )
        ) as found:
            self.page.locator('[data-testid="bottombar-submit-button"]').click()
        return int(found.value.json()["id"])

    @contextmanager
    def saved_draft(self) -> Iterator[None]:
        """Wait until what was done inside is kept as a draft."""
        with self.page.expect_response(
            lambda answer: "/drafts" in answer.url and answer.request.method in ("POST", "PATCH")
        ):
            yield

    def said(self) -> str:
        """All text on the page."""
        return str(self.page.evaluate("document.body.innerText"))

    def shot(self, step: str) -> Path:
        """A picture of the window."""
        self._taken += 1
        file = self.shots / f"{self.name}-{self._taken:02d}-{step}.png"
        self.page.screenshot(path=file)
        return file

    @contextmanager
    def _answer(self) -> Iterator[Any]:
        with self.page.expect_response(
            lambda answer: "interactive-annotating" in answer.url
        ) as answer:
            yield answer

    def _content(self, answer: Any) -> dict[str, Any]:
        found = answer.value
        return {
            "status": found.status,
            "asked": json.loads(found.request.post_data or "{}"),
            "answer": found.json(),
        }

    def _tool(self, number: int, key: str, name: str) -> None:
        self.choose(number)
        active = f'button[aria-label="{name}"].lsf-tool_smart.lsf-tool_active'
        if not self.page.locator(active).count():
            self.page.keyboard.press(key)
            self.page.wait_for_selector(active, state="attached")
        self.choose(number)

    def _wait_for_picture(self) -> None:
        self.page.wait_for_selector("canvas")
        self.page.wait_for_function(
            """() => {
                const image = document.querySelector('img[alt="image"]');
                return image && image.complete && image.naturalWidth > 1;
            }"""
        )
        # Its stage is laid out when the stage's own canvas has a size.
        self.page.wait_for_selector(".konvajs-content canvas")

    def _place(self, x: float, y: float) -> tuple[float, float]:
        """Where in the window a place of the picture is."""
        image = self.page.locator('img[alt="image"]').last
        left, top, width, height, wide, high = image.evaluate(
            """element => {
                const box = element.getBoundingClientRect();
                return [box.x, box.y, box.width, box.height,
                        element.naturalWidth, element.naturalHeight];
            }"""
        )
        return left + x / wide * width, top + y / high * height

    def _only_label_studio(self, route: Any) -> None:
        url = route.request.url
        if url.startswith((self.url, "data:", "blob:")):
            route.continue_()
        else:
            self.elsewhere.append(url)
            route.abort()

    def _note(self, answer: Any) -> None:
        if "interactive-annotating" in answer.url:
            self.asked.append(json.loads(answer.request.post_data or "{}"))
