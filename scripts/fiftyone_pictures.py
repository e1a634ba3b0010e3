"""Takes the pictures of docs/fiftyone.md from FiftyOne's real App with the real plugin.

    .venv/bin/python scripts/fiftyone_pictures.py

It needs what the tests named test_fo_*_browser need, and about two minutes. Look at each
afterwards: it has to show what the text beside it says.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from documentation_pictures import ROOT, save

sys.path[:0] = [str(ROOT / "tests" / "fiftyone"), str(ROOT / "tests")]


def take_masks(page: Any, folder: Path) -> None:
    """Prompts to masks, as the guide's first minute says: the form, and the grid afterwards."""
    page.get_by_role("button", name="Dismiss").click()  # FiftyOne's advertisement
    page.keyboard.press("`")
    page.get_by_placeholder("Search operations").fill("Prompts to masks")
    page.get_by_text("Prompts to masks (sam-plugins)").click()
    page.get_by_role("combobox").first.click()
    page.get_by_role("option", name="boxes").click()
    page.get_by_text("What becomes of the boxes").wait_for()
    page.wait_for_timeout(2000)
    page.screenshot(path=folder / "form.png")
    save(folder / "form.png", "fiftyone-form.png")
    page.get_by_role("button", name="Execute").click()
    page.get_by_text("Samples with masks:").wait_for(timeout=240_000)
    page.get_by_role("button", name="Done").click()
    page.locator("[data-cy=checkbox-masks] input:checked").wait_for(state="attached")
    page.wait_for_timeout(5000)
    for field in ("boxes", "points", "ground_truth"):
        page.locator(f"[data-cy=checkbox-{field}]").first.click()
    page.mouse.move(10, 10)
    page.wait_for_timeout(9000)  # the App draws masks bit by bit
    page.screenshot(path=folder / "grid.png")
    save(folder / "grid.png", "fiftyone-grid.png")


def take_review(page: Any, folder: Path) -> None:
    """The panel Review masks, beside the grid."""
    page.click("[data-cy=new-panel-btn]")
    page.click("[data-cy=new-panel-option-review_masks]")
    page.locator("img[src^='data:image/png']").wait_for()
    page.mouse.move(10, 10)
    page.wait_for_timeout(9000)  # the App draws masks bit by bit
    page.screenshot(path=folder / "review.png")
    save(folder / "review.png", "fiftyone-review.png")


def take_reprompt(hands: Any, dataset: Any) -> None:
    """A click on a coin in the modal, and its mask."""
    coins = next(each for each in dataset if each.filepath.endswith("coins.png"))
    hands.open(dataset, coins.id)
    ((x, y),) = coins.points.keypoints[0].points[:1]
    seen = hands.page.locator("[data-cy=sam-reprompt-overlay]").bounding_box()
    scale = min(seen["width"] / coins.metadata.width, seen["height"] / coins.metadata.height)
    across, down = hands.middle()
    place = (
        across + (x - 0.5) * coins.metadata.width * scale,
        down + (y - 0.5) * coins.metadata.height * scale,
    )
    hands.click(place)
    hands.settle()
    save(hands.shot("click"), "fiftyone-reprompt.png")


def main() -> None:
    """Make masks, review them, and ask for one more."""
    from app_server import page_of, running_app
    from database import environment, running_mongod
    from headless_browser import chromium_program, running_chromium
    from panel_hands import PanelHands

    if chromium_program() is None:
        sys.exit("chromium is needed: apt install chromium")
    with (
        tempfile.TemporaryDirectory(prefix="sam-plugins-") as name,
        running_mongod(Path(name)) as uri,
    ):
        folder = Path(name)
        os.environ.update(environment(uri, folder))
        from fiftyone_plugin.quality import judge_masks
        from fiftyone_plugin.start import sample_dataset

        dataset = sample_dataset(folder / "pictures")
        with running_app(os.environ, folder) as app, running_chromium() as browser:
            with page_of(browser, app) as page:
                page.goto(app.dataset_url(dataset))
                page.wait_for_selector("[data-cy=looker]")
                take_masks(page, folder)
                dataset.reload()
                judge_masks(dataset, "masks")
                take_review(page, folder)
            with page_of(browser, app) as page:
                take_reprompt(PanelHands(page, app, folder, "picture"), dataset)


if __name__ == "__main__":
    main()
