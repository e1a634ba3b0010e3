# Both commands set up everything they need, so a fresh clone needs nothing else first.
# Another Python: make test PYTHON=/usr/bin/python3.12

PYTHON ?=
export PYTHON

.PHONY: demo test format

demo:
	scripts/setup core
	.venv/bin/sam-plugins demo

test:
	scripts/setup dev
	scripts/check

format:
	scripts/setup dev
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .
