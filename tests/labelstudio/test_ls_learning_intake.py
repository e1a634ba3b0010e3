"""Submitted annotations arrive by the webhook, in any order, from any process, and stay."""

import itertools
import multiprocessing
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import webhook_doubles as ls

from labelstudio_backend.errors import ConfigError, RequestError
from labelstudio_backend.learning import Intake, events

HERE = Path(__file__).parent


def region(name: str) -> dict[str, object]:
    return {"id": name, "type": "brushlabels", "value": {"rle": [1, 2, 3]}}


def kept(intake: Intake, project: int | None = None) -> dict[int, list[str]]:
    """Task -> names of the regions to learn from."""
    read = intake.read(intake.chosen(project))
    return {each.task: [region["id"] for region in each.result] for each in read}


def test_what_was_submitted_is_read_back_whole(tmp_path: Path) -> None:
    image = "/data/upload/4/ü.png"
    Intake(tmp_path).accept(ls.submitted(7, 3, [region("a")], at=1.25, image=image))
    (found,) = Intake(tmp_path).read([7])
    assert (found.annotation, found.task, found.project) == (7, 3, 1)
    assert found.result == [region("a")]
    assert found.data == {"image": image}
    assert found.config == ls.CONFIG
    assert found.updated % 1_000_000 == 250_000


def test_half_a_character_disturbs_nothing_that_can_be_kept(tmp_path: Path) -> None:
    intake = Intake(tmp_path)
    with pytest.raises(RequestError, match="half a character"):
        intake.accept(ls.submitted(1, 1, config="<View>\ud800</View>"))
    intake.accept(ls.submitted(2, 2, [region("\ud800")]))
    assert kept(intake) == {2: ["\ud800"]}
    intake.accept({"action": "\udfff"})
    assert intake.counts() == {"ANNOTATION_UPDATED": 1, "?, without a payload": 1}


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_the_newest_version_counts_in_whatever_order_they_come(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    intake = Intake(tmp_path)
    versions = [ls.submitted(7, 3, [region(str(at))], at=at) for at in range(4)]
    for index in order:
        intake.accept(versions[index])
        intake.accept(versions[index])
    assert kept(intake) == {3: ["3"]}


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_what_was_deleted_stays_deleted(tmp_path: Path, order: tuple[int, ...]) -> None:
    intake = Intake(tmp_path)
    came = [ls.submitted(7, 3, [region("a")]), ls.deleted(7), ls.submitted(8, 4, [region("b")])]
    for index in order:
        intake.accept(came[index])
    assert kept(intake) == {4: ["b"]}


def test_a_task_that_was_deleted_takes_its_annotations_along(tmp_path: Path) -> None:
    intake = Intake(tmp_path)
    intake.accept(ls.submitted(7, 3, [region("a")]))
    intake.accept({"action": "TASKS_DELETED", "tasks": [{"id": 3}], "project": ls.project()})
    intake.accept(ls.submitted(8, 3, [region("late")], at=9))
    assert kept(intake) == {}


def test_skipped_tasks_are_nothing_to_learn_from(tmp_path: Path) -> None:
    intake = Intake(tmp_path)
    intake.accept(ls.submitted(7, 3, [region("a")], at=1))
    intake.accept(ls.submitted(8, 4, [region("b")], was_cancelled=True))
    intake.accept(ls.submitted(7, 3, [region("a")], at=2, was_cancelled=True))
    assert kept(intake) == {}


def test_of_several_annotators_the_ground_truth_counts_then_the_newest(tmp_path: Path) -> None:
    intake = Intake(tmp_path)
    intake.accept(ls.submitted(1, 3, [region("truth")], at=1, ground_truth=True))
    intake.accept(ls.submitted(2, 3, [region("newer")], at=2))
    intake.accept(ls.submitted(3, 4, [region("newest")], at=4))
    intake.accept(ls.submitted(4, 4, [region("older")], at=3))
    assert kept(intake) == {3: ["truth"], 4: ["newest"]}


def test_several_annotations_may_come_in_one_payload(tmp_path: Path) -> None:
    intake = Intake(tmp_path)
    intake.accept(
        {
            "action": "ANNOTATIONS_CREATED",
            "annotation": [ls.annotation(n, n + 10, [region(str(n))]) for n in (1, 2)],
            "task": [ls.task(12), ls.task(11)],
            "project": ls.project(),
        }
    )
    assert kept(intake) == {11: ["1"], 12: ["2"]}


def test_each_annotation_keeps_the_config_it_was_made_with(tmp_path: Path) -> None:
    intake = Intake(tmp_path)
    other = ls.CONFIG.replace("Dirt", "Dust")
    intake.accept(ls.submitted(1, 3, [region("a")]))
    intake.accept(ls.submitted(2, 4, [region("b")], config=other))
    assert [each.config for each in intake.read([1, 2])] == [ls.CONFIG, other]


def test_projects_are_told_apart(tmp_path: Path) -> None:
    intake = Intake(tmp_path)
    intake.accept(ls.submitted(1, 3, [region("a")]))
    intake.accept(ls.submitted(2, 4, [region("b")], of_project=2))
    assert kept(intake, 2) == {4: ["b"]}
    assert kept(intake) == {3: ["a"], 4: ["b"]}


def test_what_concerns_no_annotation_is_counted(tmp_path: Path) -> None:
    intake = Intake(tmp_path)
    intake.accept({"action": "PROJECT_UPDATED", "project": ls.project()})
    intake.accept({"action": "SOMETHING_NEW", "x": 1})
    intake.accept({"action": "START_TRAINING", "project": {"id": 1}})
    intake.accept({"action": "ANNOTATION_CREATED"})
    intake.accept(ls.submitted(1, 3))
    assert intake.counts() == {
        "ignored": 2,
        "START_TRAINING": 1,
        "ANNOTATION_CREATED, without a payload": 1,
        "ANNOTATION_UPDATED": 1,
    }


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda event: event.pop("action"), "action"),
        (lambda event: event.pop("task"), "must be an object"),
        (lambda event: event.pop("project"), "project must be an object"),
        (lambda event: event["project"].pop("label_config"), "label_config"),
        (lambda event: event.update(annotation="seven"), "must be an object"),
        (lambda event: event["annotation"].update(id="seven"), "'id' must be a number"),
        (lambda event: event["annotation"].update(id=2**70), "'id' must be a number"),
        (lambda event: event["annotation"].update(task=99), "no task 99"),
        (lambda event: event["annotation"].update(result={}, updated_at="yesterday"), "ISO time"),
        (lambda event: event["annotation"].update(result={"a": 1}), "must be a list"),
        (lambda event: event["annotation"].update(result=["x" * 2000]), "MB"),
        (lambda event: event["task"].update(data={"image": "x" * 2000}), "MB"),
    ],
)
def test_a_payload_of_another_kind_is_refused_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil, what: str
) -> None:
    monkeypatch.setattr(events, "LARGEST", 1000)
    intake = Intake(tmp_path)
    event = ls.submitted(7, 3, [region("a")])
    spoil(event)
    with pytest.raises(RequestError, match=what):
        intake.accept(event)
    assert kept(intake) == {}
    assert intake.counts() == {}


def test_one_bad_annotation_of_several_leaves_none(tmp_path: Path) -> None:
    intake = Intake(tmp_path)
    event = {
        "action": "ANNOTATIONS_CREATED",
        "annotation": [
            ls.annotation(1, 11, []),
            ls.annotation(2, 12, [], updated_at=None, created_at=None),
        ],
        "task": [ls.task(11), ls.task(12)],
        "project": ls.project(),
    }
    with pytest.raises(RequestError):
        intake.accept(event)
    assert kept(intake) == {}


def _take_in(folder: Path, first: int) -> None:
    intake = Intake(folder)
    for number in range(first, first + 25):
        intake.accept(ls.submitted(number, number, [region(str(number))]))


def test_threads_and_processes_write_at_the_same_time(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_take_in, args=(tmp_path, 100 * n)) for n in range(1, 4)]
    for worker in workers:
        worker.start()
    shared = Intake(tmp_path)
    threads = [
        threading.Thread(
            target=lambda n=n: [
                shared.accept(ls.submitted(n * 100 + i, n * 100 + i, [region("t")]))
                for i in range(25)
            ]
        )
        for n in range(4, 8)
    ]
    for thread in threads:
        thread.start()
    for each in (*threads, *workers):
        each.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert shared.counts() == {"ANNOTATION_UPDATED": 175}
    assert sorted(kept(shared)) == [n * 100 + i for n in range(1, 8) for i in range(25)]


KILLED = """
import os, signal, sqlite3, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
import webhook_doubles as ls
from labelstudio_backend.learning import Intake
steps = 0
def step():
    global steps
    steps += 1
    if steps == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
connect = sqlite3.connect
def watched(*args, **options):
    connection = connect(*args, **options)
    connection.set_progress_handler(step, 1)
    connection.set_trace_callback(lambda text: step())
    return connection
sqlite3.connect = watched
intake = Intake(Path(sys.argv[1]))
for number in range(1, 9):
    regions = [{"id": f"{number}", "type": "brushlabels", "value": {"rle": list(range(4000))}}]
    intake.accept(ls.submitted(number, number, regions))
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
sys.stdout.write(f"steps {steps}\\n")
"""


def _killed_at(folder: Path, step: int) -> tuple[int, list[str]]:
    command = [sys.executable, "-c", KILLED, str(folder), str(step), str(HERE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout.split("\n")[:-1]


def test_killed_inside_writes_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    code, lines = _killed_at(tmp_path / "whole", 0)
    assert code == 0
    steps = int(lines[-1].split()[1])
    instants = random.Random(5).sample(range(1, steps), 20)
    for instant in instants:
        folder = tmp_path / str(instant)
        code, acknowledged = _killed_at(folder, instant)
        assert code == -signal.SIGKILL
        intake = Intake(folder)
        found = kept(intake)
        # At most the one that was being written may be there besides those acknowledged.
        assert set(map(int, acknowledged)) <= set(found) <= set(range(1, len(acknowledged) + 2))
        assert intake.counts().get("ANNOTATION_UPDATED", 0) == len(found)
        _take_in(folder, 1)
        assert sorted(kept(intake)) == list(range(1, 26))


def test_a_file_of_another_kind_is_left_alone_and_named(tmp_path: Path) -> None:
    path = tmp_path / "annotations.sqlite"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(ConfigError, match=r"annotations\.sqlite cannot be used"):
        Intake(tmp_path).accept(ls.submitted(1, 1))
    assert path.read_bytes().startswith(b"not a database")


def test_a_file_of_a_later_version_is_refused(tmp_path: Path) -> None:
    Intake(tmp_path).accept(ls.submitted(1, 1))
    with sqlite3.connect(tmp_path / "annotations.sqlite") as connection:
        connection.execute("PRAGMA user_version=9")
    with pytest.raises(ConfigError, match="another version"):
        Intake(tmp_path).chosen()
