"""The model that answers: opened in the background, replaced by its file, gone back to."""

import json
import os
import subprocess
import sys
import threading

import pytest
from answering_doubles import Model, Remembered, wait_until

from labelstudio_backend.answering import rollback
from labelstudio_backend.answering.enduring import MORE_TRIES, EnduringSegmenter
from labelstudio_backend.answering.kept_models import KEPT, KeptModels
from labelstudio_backend.answering.model import CurrentModel
from labelstudio_backend.errors import BusyError, ConfigError
from labelstudio_backend.settings import Settings
from sam_plugins.errors import CheckpointError, ModelError, WorkerError

LOOKS = 0.02


class Opener:
    """Opens a file that holds a radius; each radius is another model."""

    def __init__(self):
        self.opened = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, path):
        with open(path) as file:
            text = file.read()
        assert self.gate.wait(20)
        if not text.isdigit():
            raise CheckpointError(f"Expected weights, found {text!r}.")
        self.opened.append(Model(float(text)))
        return self.opened[-1]


@pytest.fixture
def opener():
    return Opener()


@pytest.fixture
def weights(tmp_path):
    file = tmp_path / "weights.safetensors"
    file.write_text("10")
    return file


@pytest.fixture
def current(tmp_path, weights, opener):
    made = CurrentModel(
        str(weights), tmp_path / "state", open_model=opener, seconds_between_looks=LOOKS
    )
    yield made
    made.close()


def version(radius):
    return f"fake-{Model(float(radius)).info.model_id[:10]}"


def replace(file, text):
    beside = file.with_name("new")
    beside.write_text(text)
    os.replace(beside, file)


def test_nothing_waits_for_the_model_but_a_lease(tmp_path):
    gate = threading.Event()
    model = Model()

    def slow(name):
        gate.wait(20)
        return model

    current = CurrentModel(None, tmp_path, open_model=slow)
    assert current.version == ""
    assert current.versions() == []
    assert current.status() == {
        "ready": False,
        "opening": True,
        "model": "nano",
        "version": "",
        "error": None,
    }
    with pytest.raises(BusyError) as caught, current.lease(0.01):
        pass
    assert caught.value.retry_after >= 1
    gate.set()
    with current.lease() as used:
        assert used.version == current.version == version(20)
    assert current.versions() == [version(20)]
    current.close()
    assert model.closed
    with pytest.raises(BusyError, match="ending"), current.lease():
        pass


def test_a_model_that_cannot_be_opened_says_why(tmp_path):
    def broken(name):
        raise ModelError(f"There is no model {name!r}.")

    current = CurrentModel("nonsense", tmp_path, open_model=broken)
    with pytest.raises(ModelError, match="nonsense"), current.lease():
        pass
    assert "nonsense" in current.status()["error"]
    assert not current.status()["ready"]


def test_a_process_that_died_while_opening_is_tried_again_at_the_next_request(tmp_path):
    tries = []

    def dies(name):
        tries.append(name)
        if len(tries) == 1:
            raise WorkerError("The model's process ended.")
        return Model()

    current = CurrentModel(None, tmp_path, open_model=dies)
    wait_until(lambda: not current.status()["opening"])
    with current.lease() as used:
        assert used.version


def test_a_replaced_file_takes_over_and_requests_end_with_what_they_began_with(
    current, weights, opener, tmp_path
):
    with current.lease() as old:
        replace(weights, "30")
        wait_until(lambda: current.version == version(30))
        assert old.version == version(10)
        assert not opener.opened[0].closed
        with current.lease() as new:
            assert new.version == version(30)
    wait_until(lambda: opener.opened[0].closed)
    assert not opener.opened[1].closed
    assert current.versions() == [version(10), version(30)]


def test_the_old_model_answers_while_the_new_one_is_opened(current, weights, opener):
    wait_until(lambda: current.version)
    opener.gate.clear()
    replace(weights, "30")
    with current.lease() as used:
        assert used.version == version(10)
    opener.gate.set()
    wait_until(lambda: current.version == version(30))


def test_a_damaged_file_leaves_the_old_model_until_a_good_one_comes(
    current, weights, opener, tmp_path, caplog
):
    wait_until(lambda: current.version)
    replace(weights, "half a fi")
    wait_until(lambda: current.status()["error"])
    assert "half a fi" in current.status()["error"]
    assert current.status()["ready"]
    assert current.version == version(10)
    assert f"{version(10)} goes on answering" in caplog.text
    with current.lease() as used:
        assert used.version == version(10)
    kept = {file.suffix for file in (tmp_path / "state/models").iterdir()}
    replace(weights, "30")
    wait_until(lambda: current.version == version(30))
    assert current.status()["error"] is None
    assert kept == {".safetensors", ".json", ".lock"}
    assert len(list((tmp_path / "state/models").glob("*.safetensors"))) == 2


def test_a_start_with_a_damaged_file_goes_on_with_the_model_before(
    current, weights, opener, tmp_path
):
    wait_until(lambda: current.version)
    current.close()
    weights.write_text("half a fi")
    again = CurrentModel(
        str(weights), tmp_path / "state", open_model=opener, seconds_between_looks=LOOKS
    )
    with again.lease() as used:
        assert used.version == version(10)
    wait_until(lambda: again.status()["error"])
    assert "half a fi" in again.status()["error"]
    replace(weights, "30")
    wait_until(lambda: again.version == version(30))
    assert again.status()["error"] is None
    again.close()


def test_a_file_that_is_still_written_is_not_opened(tmp_path, weights, opener):
    """The watcher by hand: one look per call."""
    current = CurrentModel(
        str(weights), tmp_path / "state", open_model=opener, seconds_between_looks=1000
    )
    wait_until(lambda: current.version)
    watcher = current._watcher
    watcher.look()
    for text in ("3", "30", "300"):
        with weights.open("w") as file:
            file.write(text)
        os.utime(weights, ns=(len(text), len(text)))
        watcher.look()
        assert current.version == version(10)
    watcher.look()
    assert current.version == version(300)
    assert len(opener.opened) == 2
    os.utime(weights)
    watcher.look()
    watcher.look()
    assert len(opener.opened) == 2  # touched, with the same content
    weights.unlink()
    watcher.look()
    watcher.look()
    assert current.version == version(300)
    current.close()


def test_a_file_that_comes_later_is_picked_up(tmp_path, opener):
    file = tmp_path / "later.safetensors"
    current = CurrentModel(
        str(file), tmp_path / "state", open_model=opener, seconds_between_looks=LOOKS
    )
    wait_until(lambda: current.status()["error"])
    replace(file, "12")
    wait_until(lambda: current.version == version(12))
    current.close()


def test_going_back_needs_no_server_and_a_running_one_picks_it_up(
    current, weights, opener, tmp_path
):
    settings = Settings(model=str(weights), state_folder=tmp_path / "state")
    wait_until(lambda: current.version)
    replace(weights, "30")
    wait_until(lambda: current.version == version(30))
    assert rollback(settings, version(10)) == weights
    assert weights.read_text() == "10"
    wait_until(lambda: current.version == version(10))
    assert current.versions() == [version(30), version(10)]
    rollback(settings, version(30))
    wait_until(lambda: current.version == version(30))
    with pytest.raises(ConfigError, match=version(10)):
        rollback(settings, "fake-unknown")
    with pytest.raises(ConfigError, match="path of a file"):
        rollback(Settings(model="nano", state_folder=tmp_path), version(10))


def test_the_last_five_are_kept(tmp_path, weights):
    kept = KeptModels(tmp_path / "models")
    for number in range(KEPT + 3):
        weights.write_text(str(number))
        kept.note(f"v{number}", kept.copy(weights))
    assert [model.version for model in kept.history()] == [f"v{n}" for n in range(3, KEPT + 3)]
    files = list(kept.folder.glob("*.safetensors"))
    assert len(files) == KEPT
    assert {file.name for file in files} == {model.file for model in kept.history()}


@pytest.mark.parametrize("text", ["", "[", "{}", '[{"version": 1}]', "null"])
def test_a_damaged_history_is_as_none(tmp_path, weights, text):
    kept = KeptModels(tmp_path / "models")
    copy = kept.copy(weights)
    (kept.folder / "history.json").write_text(text)
    assert kept.history() == []
    kept.note("v1", copy)
    assert [model.version for model in kept.history()] == ["v1"]
    assert json.loads((kept.folder / "history.json").read_text())


def test_a_history_cannot_name_files_elsewhere(tmp_path, weights):
    kept = KeptModels(tmp_path / "models")
    kept.note("v1", kept.copy(weights))
    entries = [{"version": "x", "file": "../weights.safetensors", "time": 0.0}]
    (kept.folder / "history.json").write_text(json.dumps(entries))
    assert kept.history() == []


def test_what_died_is_asked_again_and_at_last_is_an_error(tmp_path):
    from sam_plugins.testing import sample_image
    from sam_plugins.types import Prompt

    model, meters = Model(), Remembered()
    current = CurrentModel(None, tmp_path, open_model=lambda name: model, meters=meters)
    image = sample_image(60, 80)
    with current.lease() as used:
        expected = used.segmenter.encode(image)
        model.deaths = 1
        assert used.segmenter.encode(image).key == expected.key
        prompt = Prompt(point_coords=[(20, 30)], point_labels=[1])
        answer = used.segmenter.decode(expected, prompt).best()
        model.deaths = MORE_TRIES
        assert (used.segmenter.decode(expected, prompt).best() == answer).all()
        assert meters.counts["worker_restarted"] == 1 + MORE_TRIES
        model.deaths = MORE_TRIES + 1
        with pytest.raises(WorkerError):
            used.segmenter.decode(expected, prompt)


def test_a_process_that_hangs_is_ended_and_nobody_waits_for_ever():
    class Hanging:
        """Answers when its process has ended, as a `WorkerSegmenter` does."""

        def __init__(self):
            self.process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1)
            self.pid = self.process.pid
            self.asked = 0

        def encode(self, image, *, region=None):
            self.asked += 1
            self.process.wait(60)
            raise WorkerError("The model's process ended.")

    hanging = Hanging()
    with pytest.raises(WorkerError):
        EnduringSegmenter(hanging, lambda: None, hang_seconds=0.2).encode(None)
    hanging.process.stdin.close()
    assert hanging.asked == 1
    assert hanging.process.returncode not in (0, None)


def test_a_stream_that_died_goes_on_where_it_was(tmp_path):
    class Dying:
        def __init__(self, deaths):
            self.deaths = deaths

        def decode_many(self, embedding, prompts, **options):
            return self._items()

        def _items(self):
            for number in range(6):
                if number == 3 and self.deaths:
                    self.deaths -= 1
                    raise WorkerError("The model's process ended.")
                yield number

    lasting = EnduringSegmenter(Dying(MORE_TRIES), lambda: None)
    assert list(lasting.decode_many(None, [])) == list(range(6))
    items = EnduringSegmenter(Dying(MORE_TRIES + 1), lambda: None).decode_many(None, [])
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(WorkerError):
        next(items)
