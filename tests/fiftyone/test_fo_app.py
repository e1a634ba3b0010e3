"""The App of the tests runs, and shows the tests' datasets."""


def test_the_app_shows_a_dataset_and_its_plugin(app, page, make_dataset, shots):
    dataset = make_dataset(2)
    page.goto(app.dataset_url(dataset))
    page.wait_for_selector("[data-cy=looker]")
    page.screenshot(path=shots / "app-grid.png")
    plugins = page.evaluate(
        """async () => (await (await fetch("/plugins")).json()).plugins.map(one => one.name)"""
    )
    assert "@sam-plugins/sam" in plugins
