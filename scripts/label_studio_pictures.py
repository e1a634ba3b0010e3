"""Takes the pictures of docs/label_studio.md from a real Label Studio with the real backend.

    .venv/bin/python scripts/label_studio_pictures.py

It needs what the tests named test_ls_real_* need, and about two minutes. Look at each afterwards:
it has to show what the text beside it says.
"""

import sys
import tempfile
from pathlib import Path

from documentation_pictures import ROOT, save

sys.path[:0] = [str(ROOT / "tests" / "labelstudio"), str(ROOT / "tests")]


def main() -> None:
    """Click, correct, box, accept; once with masks and once with polygons."""
    from browser_hands import BrowserHands
    from headless_browser import chromium_program, running_chromium
    from real_programs import RealPrograms
    from real_projects import make_project, png

    from labelstudio_backend.start.sample_projects import BRUSH, POLYGON
    from sam_plugins import load_sample

    if chromium_program() is None:
        sys.exit("chromium is needed: apt install chromium")
    coins = {"coins.png": png(load_sample("coins").image)}
    objects = {"objects.png": png(load_sample("objects").image)}
    with (
        tempfile.TemporaryDirectory() as folder,
        RealPrograms(Path(folder)) as programs,
        running_chromium() as chromium,
    ):
        programs.backend  # noqa: B018
        hands = BrowserHands(chromium, programs.label_studio.url, Path(folder), "picture")
        hands.log_in(programs.access.email, programs.access.password)

        masks = make_project(programs, "Coins", BRUSH.label_config, coins)
        hands.open_task(masks.number, masks.tasks[0])
        hands.auto_annotation()
        hands.smart_click(0)
        hands.click(247, 108)
        save(hands.shot("click"), "label-studio-click.png")
        hands.choose(0)
        hands.click(268, 60, negative=True)
        hands.accept()
        hands.smart_box(3)
        hands.drag((297, 96, 371, 164))
        save(hands.shot("box"), "label-studio-box.png")
        hands.accept()
        hands.submit()

        polygons = make_project(programs, "Polygons", POLYGON.label_config, objects)
        hands.open_task(polygons.number, polygons.tasks[0])
        hands.auto_annotation()
        hands.smart_box(2)
        hands.drag((385, 225, 590, 410))
        hands.accept()
        save(hands.shot("polygon"), "label-studio-polygon.png")

        hands.page.goto(f"{programs.label_studio.url}/projects/{masks.number}/settings/ml")
        hands.page.wait_for_selector("text=Connected")
        save(hands.shot("model"), "label-studio-model.png")
        hands.close()


if __name__ == "__main__":
    main()
