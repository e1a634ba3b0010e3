"""What a curator does with the re-prompting panel of the App, and what comes of it."""

import io
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Colour = tuple[int, int, int]


class PanelHands:
    """Somebody with one sample in the modal and the panel beside it.

    Parameters
    ----------
    page
        Of playwright, that may ask nobody but the App.
    app
        The App.
    shots, name
        Where pictures of the steps go, and how their names begin.
    """

    def __init__(self, page: Any, app: Any, shots: Path, name: str) -> None:
        self.page = page
        self.app = app
        self.shots = shots
        self.name = name
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self, dataset: Any, sample_id: str, *, wait: str = "ready") -> None:
        """Open a sample and the panel, and wait until the picture is prepared."""
        self.page.goto(self.app.dataset_url(dataset, sample_id))
        self._open_panel(wait)

    def open_from_grid(self, dataset: Any) -> None:
        """Open the first sample from the grid, from where the App can turn to the next."""
        self.page.goto(self.app.dataset_url(dataset))
        advertisement = self.page.get_by_text("Dismiss", exact=True)
        self.page.add_locator_handler(advertisement, lambda button: button.click())
        self.page.locator("[data-cy=fo-grid] [data-cy=looker]").first.click()
        self.page.remove_locator_handler(advertisement)
        self._open_panel("ready")

    def _open_panel(self, wait: str) -> None:
        self.page.wait_for_selector("[data-cy=modal-looker-container] canvas[canvas-loaded=true]")
        self.page.click("[data-cy=panel-tab-sam_reprompt]")
        self.page.wait_for_selector("[data-cy=sam-reprompt-overlay]")
        self.page.wait_for_selector(f"[data-cy=sam-reprompt-status][data-state={wait}]")
        self.page.mouse.move(*self.middle())
        self.settle()

    def middle(self) -> tuple[float, float]:
        """The middle of the looker in the window."""
        box = self.page.locator("[data-cy=sam-reprompt-overlay]").bounding_box()
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def zoom(self, place: tuple[float, float], steps: int) -> None:
        """Turn the wheel over a place; positive steps show less of the picture, larger."""
        self.page.mouse.move(*place)
        for _ in range(abs(steps)):
            self.page.mouse.wheel(0, -100 if steps > 0 else 100)
            self.page.wait_for_timeout(120)
        self.settle()

    def pan(self, dx: float, dy: float, *, space: bool = False) -> None:
        """Move the picture by so many pixels of the window, with the middle button or space."""
        x, y = self.middle()
        button = "left" if space else "middle"
        if space:
            self.page.keyboard.down(" ")
        self.page.mouse.move(x, y)
        self.page.mouse.down(button=button)
        self.page.mouse.move(x + dx, y + dy, steps=4)
        self.page.mouse.up(button=button)
        if space:
            self.page.keyboard.up(" ")
        self.settle()

    def wait_for(self, seen: Callable[[], bool]) -> None:
        """Look at the window until something is to be seen."""
        for _ in range(100):
            if seen():
                return
            self.settle()
        raise AssertionError("it was never to be seen")

    def settle(self) -> None:
        """Wait until the App has drawn what it was told."""
        self.page.wait_for_timeout(400)

    def find(self, colour: Colour, off: int = 0) -> tuple[float, float] | None:
        """Where in the window the middle of a patch of that colour is; None if nowhere."""
        patch = self.patch(colour, off)
        return None if patch is None else ((patch[0] + patch[2]) / 2, (patch[1] + patch[3]) / 2)

    def patch(self, colour: Colour, off: int = 0) -> tuple[int, int, int, int] | None:
        """xyxy in the window of all that the picture shows in a colour, or `off` beside it.

        None if there is nothing, or it is cut or covered.
        """
        around = self.page.locator("[data-cy=modal-looker-container]").bounding_box()
        left, top = round(around["x"]), round(around["y"])
        looker = self.window()[top:, left : round(around["x"] + around["width"])].astype(np.int16)
        ys, xs = np.nonzero(np.abs(looker - colour).max(-1) <= off)
        if not len(xs):
            return None
        x0, y0 = left + int(xs.min()), top + int(ys.min())
        x1, y1 = left + int(xs.max()) + 1, top + int(ys.max()) + 1
        inside = around["x"] + 4 < x0 and x1 < around["x"] + around["width"] - 4
        bar = 60  # the App's own controls, above and below
        below = around["y"] + around["height"] - bar
        return (x0, y0, x1, y1) if inside and around["y"] + bar < y0 and y1 < below else None

    def window(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8: what is to be seen."""
        return np.array(Image.open(io.BytesIO(self.page.screenshot())).convert("RGB"))

    def click(self, place: tuple[float, float], **options: Any) -> dict[str, Any]:
        """Click at a place of the window; gives what Python was asked and what it answered."""
        return self.answer(lambda: self.page.mouse.click(*place, **options))

    def drag(self, first: tuple[float, float], second: tuple[float, float]) -> dict[str, Any]:
        """Draw a box; as `click`."""

        def act() -> None:
            self.page.mouse.move(*first)
            self.page.mouse.down()
            self.page.mouse.move(*second, steps=5)
            self.page.mouse.up()

        return self.answer(act)

    def answer(self, act: Callable[[], Any], operator: str = "reprompt_click") -> dict[str, Any]:
        """Do something that asks Python; gives `asked` and `answered`."""
        with self.page.expect_response(
            lambda one: (
                one.url.endswith("/operators/execute")
                and f"sam/{operator}" in (one.request.post_data or "")
            )
        ) as found:
            act()
        response = found.value
        asked = response.request.post_data_json["params"]
        said = response.json()
        assert not said.get("error"), said
        self.page.wait_for_function(
            "() => !document.querySelector('[data-cy=sam-reprompt-status]')"
            "?.innerText.startsWith('Asking')"
        )
        return {"asked": asked, "answered": said["result"]}

    def intercept(self, operator: str, handle: Callable[[Any], Any]) -> Callable[[], None]:
        """Give each call of an operator, a route of playwright, to `handle`; the result ends it."""
        going_on = [True]

        def look(route: Any) -> None:
            if going_on and f"sam/{operator}" in (route.request.post_data or ""):
                handle(route)
            else:
                route.fallback()

        self.page.route("**/operators/execute", look)
        return going_on.clear

    def say(self, operator: str, result: dict[str, Any]) -> Callable[[], None]:
        """Let an operator say something else than it does, until the result is called."""

        def handle(route: Any) -> None:
            response = route.fetch()
            route.fulfill(response=response, json={**response.json(), "result": result})

        return self.intercept(operator, handle)

    def switch(self) -> None:
        """Turn clicking on the picture off, or on again."""
        self.page.click("[data-cy=sam-reprompt] input[type=checkbox]")
        self.settle()

    def press(self, name: str) -> None:
        """Press a button of the panel."""
        self.page.click(f"[data-cy=sam-reprompt-{name}]")

    def accept(self) -> dict[str, Any]:
        """Press Accept and wait until the sample is written and shown."""
        self.page.wait_for_selector("[data-cy=sam-reprompt-accept]:enabled")
        found = self.answer(lambda: self.press("accept"), "reprompt_accept")
        self.settle()
        return found

    def take_back(self) -> dict[str, Any]:
        """Press Take back and wait until the sample is as it was."""
        self.page.wait_for_selector("[data-cy=sam-reprompt-undo]:enabled")
        found = self.answer(lambda: self.press("undo"), "reprompt_undo")
        self.settle()
        return found

    def shot(self, step: str) -> Path:
        """A picture of the window."""
        file = self.shots / f"panel-{self.name}-{step}.png"
        self.page.screenshot(path=file)
        return file

    @property
    def modal_is_open(self) -> bool:
        """Whether the sample is still there."""
        return bool(self.page.locator("[data-cy=modal]").count())


@contextmanager
def held(page: Any, key: str) -> Any:
    """Hold a key during the block."""
    page.keyboard.down(key)
    try:
        yield
    finally:
        page.keyboard.up(key)
