# The README's commands. Each makes the virtual environment first, if it is missing, moved
# or older than the requirements. Another Python: make compare PYTHON=python3.13
PYTHON = python3

compare: .venv/for-compare
	@.venv/bin/python compare.py

test: .venv/for-test
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/python -m pytest

walkthrough: .venv/for-test
	.venv/bin/python -m pytest tests/walkthrough

.venv/for-compare: requirements.txt
.venv/for-test: requirements.txt requirements-dev.txt requirements-frameworks.txt

# Does a program in .venv start? Not if the folder has got another name since, or if the
# Python that made it is gone: then it is made again.
ifneq ($(shell .venv/bin/gunicorn --version 2>&1 | cut -c-8), gunicorn)
.PHONY: .venv/for-compare .venv/for-test
CLEAR = --clear
endif

.venv/for-compare .venv/for-test:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "This lesson needs Python 3.11 or newer, and '$(PYTHON)' is not."; \
	    echo "Name one that is, for example: make $(MAKECMDGOALS) PYTHON=python3.12"; \
	    exit 1; }
	@echo "Making the virtual environment .venv, from $^ ..."
	@"$(PYTHON)" -m venv $(CLEAR) .venv
	@.venv/bin/python -m pip install -qq --disable-pip-version-check \
	    $(patsubst %, -r %, $^) || { \
	    echo "The packages could not be installed; pip says why above. Are you offline?"; \
	    echo "Nothing is broken: type the same again when you are not."; \
	    exit 1; }
	@touch .venv/for-compare $@

.NOTPARALLEL:
.PHONY: compare test walkthrough
