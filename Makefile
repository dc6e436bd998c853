# The README's commands. Each makes the virtual environment .venv first, if there is none, or
# if the requirements are newer. With another Python: rm -r .venv, then
# make compare PYTHON=python3.13. A single row: make compare ROWS=threads
PYTHON = python3

compare: .venv/for-compare
	@.venv/bin/python compare.py $(ROWS)

test: .venv/for-test
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/python -m pytest

walkthrough: .venv/for-test
	.venv/bin/python -m pytest tests/walkthrough

.venv/for-compare: requirements.txt
.venv/for-test: requirements.txt requirements-dev.txt requirements-frameworks.txt

.venv/for-compare .venv/for-test:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "This lesson needs Python 3.11 or newer, and '$(PYTHON)' is not."; \
	    echo "Name one that is: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@echo "Making the virtual environment .venv, from $^ ..."
	@"$(PYTHON)" -m venv .venv
	@.venv/bin/python -m pip install -qq --disable-pip-version-check $(^:%=-r %) || { \
	    echo "The packages could not be installed; pip says why above. Are you offline?"; \
	    echo "Nothing is broken: type the same again when you are not."; exit 1; }
	@touch .venv/for-compare $@

.NOTPARALLEL:
.PHONY: compare test walkthrough
