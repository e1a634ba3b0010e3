"""A program that serves doubles: `python server_program.py`, with settings in its environment.

Its worker processes import it again, so that they serve the doubles too. `/predict` waits for the
file named in the body, and says which process answers.
"""

import os
import time
from pathlib import Path

from labelstudio_backend.server import serving
from labelstudio_backend.settings import Settings


class Handlers:
    def __init__(self, settings, meters):
        self.settings = settings
        self.meters = meters

    def health(self):
        return {"status": "UP", "process": os.getpid()}

    def predict(self, body):
        self.meters.count("embedding_hit")
        self.meters.level("queue", 1)
        Path(body["started"]).touch()
        while not Path(body["wait"]).exists():
            time.sleep(0.01)
        return {"process": os.getpid()}

    def close(self, seconds):
        (self.settings.state_folder / f"closed-{os.getpid()}").touch()


serving.open_handlers = Handlers
serving.FINISH_SECONDS = int(os.environ.get("TEST_FINISH_SECONDS", "30"))
serving.LEAVE_SECONDS = 0.1

if __name__ == "__main__":
    serving.serve(Settings.from_environment())
