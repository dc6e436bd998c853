# The README's commands. Each makes the virtual environment .venv first, if there is none, or
# if the requirements are newer. With another Python: rm -r .venv, then
# make compare PYTHON=python3.13. Some of the rows: make compare ROWS=threads
PYTHON = python3
ANEW = rm -rf .venv && make $(MAKECMDGOALS)

compare: .venv/for-compare
	@.venv/bin/python compare.py $(ROWS)
test: .venv/for-test
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/python -m pytest
walkthrough: .venv/for-test
	.venv/bin/python -m pytest tests/walkthrough --durations=0 --durations-min=10
constraints: # after a pin was changed: all that the pinned packages need, in its newest version
	rm -rf .venv && : > constraints.txt && $(MAKE) .venv/for-test
	grep -v '^-' requirements.txt | .venv/bin/python -m pip freeze -r /dev/stdin | sed 1,/##/d > $@.txt

.venv/for-compare: requirements.txt constraints.txt
.venv/for-test: requirements.txt requirements-dev.txt requirements-frameworks.txt constraints.txt
.venv/for-compare .venv/for-test:
	@python=.venv/bin/python; [ -d .venv ] || python="$(PYTHON)"; \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "This lesson needs" \
	    "Python 3.11 or newer, and $$python is not: $(ANEW) PYTHON=python3.12"; exit 1; }
	@[ -d .venv ] || { echo "Making the virtual environment .venv ..."; "$(PYTHON)" -m venv .venv; }
	@.venv/bin/python -m pip install -q --disable-pip-version-check \
	    $(patsubst %,-r %,$(filter req%,$^)) 2> .venv/log || { cat .venv/log; grep -qi \
	    'connection broken\|timed out' .venv/log && echo "Are you offline? Then nothing is broken:" \
	    "type the same again when you are not." || echo "To make .venv anew: $(ANEW)"; exit 1; }
	@touch .venv/for-compare $@
.PHONY: compare constraints test walkthrough
.NOTPARALLEL:
