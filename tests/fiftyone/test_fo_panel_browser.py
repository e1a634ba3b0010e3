"""The re-prompting panel in FiftyOne's real App, in a real browser."""

from typing import Any


def open_panel(page: Any, app: Any, dataset: Any, sample_id: str) -> None:
    """Open a sample in the modal, with the panel beside the picture, and wait until it is ready."""
    page.goto(app.dataset_url(dataset, sample_id))
    page.wait_for_selector("[data-cy=modal-looker-container] canvas[canvas-loaded=true]")
    page.click("[data-cy=panel-tab-sam_reprompt]")
    page.wait_for_selector("[data-cy=sam-reprompt-status][data-state=ready]")


def test_a_click_on_the_picture_is_answered_with_a_mask(app, page, make_dataset, shots):
    dataset = make_dataset(1)
    open_panel(page, app, dataset, dataset.first().id)
    canvas = page.locator("[data-cy=sam-reprompt-overlay]").bounding_box()
    with page.expect_request(lambda one: "reprompt_click" in (one.post_data or "")) as asked:
        page.mouse.click(canvas["x"] + canvas["width"] / 2, canvas["y"] + canvas["height"] / 2)
    x, y, sign = asked.value.post_data_json["params"]["points"][0]
    assert abs(x - 0.5) < 0.002
    assert abs(y - 0.5) < 0.002
    assert sign == 1
    page.wait_for_selector("[data-cy=sam-reprompt-accept]:enabled")
    page.screenshot(path=shots / "panel-click.png")
