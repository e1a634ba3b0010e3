"""Memory does not grow with the number of frames (defect D7): peaks of processes of their own."""

import subprocess
import sys
from pathlib import Path

import discs
import numpy as np
import pytest

READ = """
import resource, sys
from fiftyone_plugin.labels.video_file import VideoFile
film = VideoFile(sys.argv[1])
frames = film.shape[0]
for index in (*range(frames), *reversed(range(frames))):
    film.read(index)
print(frames, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""

FOLLOW = """
import resource, sys
import fiftyone as fo
from fiftyone_plugin.runs import open_run, work_on
from fiftyone_plugin.values import Mode, RunConfig
from sam_plugins.testing import FakeSegmenter
dataset = fo.Dataset()
sample = fo.Sample(filepath=sys.argv[1])
boxes = [fo.Detection(label="disc", bounding_box=[0.1, 0.1, 0.3, 0.3])]
sample.frames[int(sys.argv[2])] = fo.Frame(boxes=fo.Detections(detections=boxes))
dataset.add_samples([sample], progress=False)
model = FakeSegmenter()
config = RunConfig(mode=Mode.VIDEO, label_field="masks", box_field="boxes")
run = open_run(dataset, config, model.info.model_id)
report = work_on(dataset, run, [sample.id], model)
dataset.delete()
print(report.objects, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def film(path: Path, frames: int, scale: int) -> Path:
    """Two discs that stand still, enlarged; its pixels are all the memory there is to grow."""
    picture = np.kron(discs.picture(0), np.ones((scale, scale, 1), np.uint8))
    discs.write_video(path, (picture for _ in range(frames)), "MJPG")
    return path


def peak(environment: dict[str, str], script: str, *words: str) -> tuple[int, float]:
    """What a script counted, and its peak in MB."""
    command = [sys.executable, "-W", "ignore", "-c", script, *words]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=500)
    assert ended.returncode == 0, ended.stderr
    counted, kilobytes = ended.stdout.split()[-2:]
    return int(counted), int(kilobytes) / 1024


@pytest.mark.slow
def test_reading_back_and_forth(fiftyone_environment: dict[str, str], tmp_path: Path) -> None:
    """300 frames of 768 x 1024 are 708 MB as bytes, and 3.6 GB as the model sees them."""
    peaks = []
    for frames in (60, 300):
        path = film(tmp_path / f"{frames}.avi", frames, 8)
        counted, megabytes = peak(fiftyone_environment, READ, str(path))
        assert counted == frames
        peaks.append(megabytes)
    assert peaks[1] < peaks[0] + 40, peaks


@pytest.mark.slow
def test_following_and_writing(fiftyone_environment: dict[str, str], tmp_path: Path) -> None:
    """300 frames of 384 x 512 are 177 MB as bytes, and their masks 59 MB."""
    peaks = []
    for frames in (120, 300):
        path = film(tmp_path / f"{frames}.avi", frames, 4)
        counted, megabytes = peak(fiftyone_environment, FOLLOW, str(path), str(frames // 2))
        assert counted > frames * 0.9, counted
        peaks.append(megabytes)
    assert peaks[1] < peaks[0] + 40, peaks
