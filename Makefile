# Both commands of the README. Each makes the virtual environment first, if it is
# missing or older than the requirements. Another Python: make compare PYTHON=python3.13
PYTHON = python3

compare: .venv/for-compare
	@.venv/bin/python compare.py

test: .venv/for-test
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/python -m pytest

.venv/for-compare: requirements.txt
.venv/for-test: requirements.txt requirements-dev.txt

.venv/for-compare .venv/for-test:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "This lesson needs Python 3.11 or newer, and '$(PYTHON)' is not."; \
	    echo "Name one that is, for example: make $(MAKECMDGOALS) PYTHON=python3.12"; \
	    exit 1; }
	@echo "Making the virtual environment .venv, from $(lastword $^) ..."
	@$(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install -qq --disable-pip-version-check -r $(lastword $^)
	@touch .venv/for-compare $@

.PHONY: compare test
