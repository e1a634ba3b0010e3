# Both commands set up everything they need, so a fresh clone needs nothing else first.
# Another Python: make test PYTHON=/usr/bin/python3.12

PYTHON ?=
export PYTHON

.PHONY: demo test napari fiftyone labelstudio bench format

demo:
	scripts/setup core
	.venv/bin/sam-plugins demo

test:
	scripts/setup dev
	scripts/check

# Opens napari with sample pictures and the plugin; no network is needed once it is set up.
napari:
	scripts/setup napari
	.venv/bin/python -m napari_plugin

# Opens FiftyOne's App with a sample dataset and the plugin, until Ctrl-C; no network is needed once it
# is set up. Database and masks stay: ARGS="--folder FOLDER" says where.
fiftyone:
	scripts/setup fiftyone
	.venv/bin/python -m fiftyone_plugin.start $(ARGS)

# Starts Label Studio and the backend with sample projects, until Ctrl-C; no network is needed once they
# are set up. Annotations stay: ARGS="--folder FOLDER" says where.
labelstudio:
	scripts/setup labelstudio
	scripts/setup-label-studio
	.venv/bin/python -m labelstudio_backend.start $(ARGS)

# Minutes to an hour, on an otherwise idle machine: make bench | tee bench.md
bench:
	@scripts/setup dev >&2
	@.venv/bin/python benchmarks/bench.py $(if $(QUICK),--quick)

format:
	scripts/setup dev
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .
