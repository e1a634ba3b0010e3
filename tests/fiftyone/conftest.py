"""FiftyOne with a real MongoDB of the tests' own."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from app_server import AppServer, page_of, running_app
from database import environment, mongod_program, running_mongod
from panel_hands import PanelHands
from PIL import Image
from rectangles import SIZE, detection

import sam_plugins
from sam_plugins.testing import FakeSegmenter


@pytest.fixture(scope="session")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str | None]:
    """The URI of a running server, or None where there is none to run."""
    if mongod_program() is None:
        yield None
        return
    with running_mongod(tmp_path_factory.mktemp("mongod")) as uri:
        yield uri


@pytest.fixture(scope="session")
def fiftyone_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Home, plugins, zoo and files of the FiftyOne of this test run."""
    return tmp_path_factory.mktemp("fiftyone")


@pytest.fixture
def fiftyone_environment(
    fiftyone_here: Any, mongod: str | None, fiftyone_folder: Path
) -> dict[str, str]:
    """Environment for other processes that use the same database."""
    assert mongod is not None
    return environment(mongod, fiftyone_folder)


@pytest.fixture
def fiftyone_here(require: Any, mongod: str | None, fiftyone_folder: Path) -> Any:
    """The module `fiftyone` of this process, connected to the tests' server."""
    require("mongod", mongod is not None)
    assert mongod is not None
    for name, value in environment(mongod, fiftyone_folder).items():
        if name.startswith("FIFTYONE_"):
            os.environ[name] = value
    fo = require("fiftyone")
    fo.config.database_uri = mongod
    fo.config.do_not_track = True
    fo.config.database_validation = False
    fo.config.default_dataset_dir = os.environ["FIFTYONE_DEFAULT_DATASET_DIR"]
    fo.config.plugins_dir = os.environ["FIFTYONE_PLUGINS_DIR"]
    fo.config.model_zoo_dir = os.environ["FIFTYONE_MODEL_ZOO_DIR"]
    return fo


@pytest.fixture
def make_dataset(fiftyone_here: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """``make_dataset(count, boxes)``: pictures of discs, each with boxes around them.

    Field `boxes` holds the Detections: label "disc", index, an attribute `group`, and one tag.
    """
    fo = fiftyone_here
    made = []

    def make(count: int = 3, boxes: int = 2, size: tuple[int, int] = (96, 128)) -> Any:
        dataset = fo.Dataset(persistent=True)
        made.append(dataset.name)
        height, width = size
        samples = []
        for number in range(count):
            random = np.random.default_rng(number)
            picture = np.full((height, width, 3), 40, np.uint8)
            rows, columns = np.mgrid[:height, :width]
            detections = []
            for index in range(boxes):
                radius = int(random.integers(8, 16))
                x = int(random.integers(radius, width - radius))
                y = int(random.integers(radius, height - radius))
                picture[(rows - y) ** 2 + (columns - x) ** 2 <= radius**2] = random.integers(
                    120, 255, 3
                )
                box = [(x - radius) / width, (y - radius) / height]
                box += [(2 * radius + 1) / width, (2 * radius + 1) / height]
                detections.append(
                    fo.Detection(
                        label="disc",
                        bounding_box=box,
                        index=index,
                        tags=["drawn"],
                        group="ab"[index % 2],
                    )
                )
            path = tmp_path / f"discs-{len(made)}-{number}.png"
            Image.fromarray(picture).save(path)
            samples.append(
                fo.Sample(filepath=str(path), boxes=fo.Detections(detections=detections))
            )
        dataset.add_samples(samples, progress=False)
        dataset.compute_metadata(progress=False)
        return dataset

    yield make
    for name in made:
        if fo.dataset_exists(name):
            fo.delete_dataset(name)


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A video of two discs that move past each other."""
    discs = pytest.importorskip("discs")
    path = tmp_path_factory.mktemp("film") / "discs.mp4"
    return discs.write_video(path, map(discs.picture, range(discs.FRAMES)))


@pytest.fixture
def make_video(fiftyone_here: Any, film: str) -> Iterator[Any]:
    """``make_video(asked, path)``: one video; asked is {frame number: [(disc, values)]}."""
    fo = fiftyone_here
    import discs

    names = []

    def dataset_of(asked: dict[int, list[tuple[int, dict[str, Any]]]], path: str = film) -> Any:
        dataset = fo.Dataset(persistent=True)
        names.append(dataset.name)
        sample = fo.Sample(filepath=path)
        for number, labels in asked.items():
            sample.frames[number] = fo.Frame(
                boxes=fo.Detections(
                    detections=[
                        fo.Detection(
                            label="disc", bounding_box=discs.box(number - 1, disc), **values
                        )
                        for disc, values in labels
                    ]
                )
            )
        dataset.add_sample(sample)
        return dataset

    yield dataset_of
    for name in names:
        if fo.dataset_exists(name):
            fo.delete_dataset(name)


@pytest.fixture
def masked_film(make_video: Any, fiftyone_here: Any, film: str) -> Callable[..., Any]:
    """``masked_film(numbers)``: the true masks of both discs in some frames of a video.

    Field `masks` of its frames: label "disc", index, a tag, and less confidence in later frames.
    """
    fo = fiftyone_here
    import discs

    def mask(number: int, disc: int) -> Any:
        truth = discs.truth(number - 1, disc)
        rows, columns = np.nonzero(truth)
        return fo.Detection(
            label="disc",
            index=disc,
            bounding_box=discs.box(number - 1, disc),
            mask=truth[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1],
            confidence=1 - number / 10 - disc / 100,
            tags=["mine"],
        )

    def make(numbers: tuple[int, ...], path: str = film) -> Any:
        dataset = make_video({}, path)
        sample = dataset.first()
        sample.metadata = fo.VideoMetadata(
            frame_width=discs.WIDTH,
            frame_height=discs.HEIGHT,
            frame_rate=10.0,
            duration=discs.FRAMES / 10,
            total_frame_count=discs.FRAMES,
        )
        for number in numbers:
            labels = [mask(number, disc) for disc in (0, 1)]
            sample.frames[number] = fo.Frame(masks=fo.Detections(detections=labels))
        sample.save()
        dataset.reload()
        return dataset

    return make


@pytest.fixture
def known(make_dataset: Callable[..., Any], fiftyone_here: Any) -> Callable[..., Any]:
    """``known(truths, predictions)``: rows of `rectangles` per sample: fields `truth`, `sam`."""

    def make(truths: list[Any], predictions: list[Any]) -> Any:
        dataset = make_dataset(len(truths), boxes=1, size=SIZE)
        for name, rows in (("truth", truths), ("sam", predictions)):
            dataset.set_values(
                name,
                [fiftyone_here.Detections(detections=[detection(d) for d in row]) for row in rows],
            )
        dataset.reload()
        return dataset

    return make


@pytest.fixture
def segmenter() -> FakeSegmenter:
    """A segmenter without a model: it answers by rule, at once."""
    return FakeSegmenter()


@pytest.fixture(scope="session")
def started_app(mongod: str | None, fiftyone_folder: Path) -> Iterator[AppServer | None]:
    """The App with the plugin, started once; tests ask for `app`."""
    if mongod is None:
        yield None
        return
    with running_app(environment(mongod, fiftyone_folder), fiftyone_folder) as app:
        yield app


@pytest.fixture
def app(fiftyone_here: Any, request: pytest.FixtureRequest) -> AppServer:
    """FiftyOne's App, served by a process of its own, with the plugin installed by symlink."""
    found: AppServer = request.getfixturevalue("started_app")
    return found


@pytest.fixture
def page(app: AppServer, chromium: Any) -> Iterator[Any]:
    """A page of a browser that may ask nobody but the App."""
    with page_of(chromium, app) as page:
        yield page


@pytest.fixture
def hands(page: Any, app: AppServer, shots: Path, request: Any, require: Any) -> Iterator[Any]:
    """Somebody with the re-prompting panel, and at the end no error of the page's scripts."""
    weights = Path(sam_plugins.__file__).parent / "assets" / "nano.safetensors"
    require("nano", weights.exists())
    hands = PanelHands(page, app, shots, request.node.name.removeprefix("test_"))
    yield hands
    hands.shot("end")
    assert hands.errors == []
