"""The pages without typing them: listings, links, paths, versions, notation, length."""

import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pages import PAGES, Step, endless, inline, steps, titles, tokens
from support import ROOT

PINNED = dict(
    re.findall(
        r"^([\w-]+)(?:\[\w+\])?==([\d.]+)$",
        "".join(path.read_text() for path in ROOT.glob("requirements*.txt")),
        re.MULTILINE,
    )
)


def fences(page, kind):
    """Return the contents of the page's blocks of that `kind`."""
    found = [t for t in tokens(page) if t.type == "fence" and t.info == kind]
    return [token.content for token in found]


def test_a_listing_is_its_file():
    """Those of the README: the two files that it starts from."""
    files = [(ROOT / folder / "app.py").read_text() for folder in ("wsgi", "asgi")]
    assert fences("README.md", "python") == files


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    links = [link.attrs["href"] for link in inline(page, "link_open")]
    links += [image.attrs["src"] for image in inline(page, "image")]
    for link in links:
        path, _, anchor = link.partition("#")
        if "//" not in link:
            target = (ROOT / page).parent / path if path else ROOT / page
            assert target.exists(), link
            if anchor:
                assert anchor in titles(target.resolve().relative_to(ROOT)), link


@pytest.mark.parametrize("page", PAGES)
def test_a_file_that_is_named_exists(page):
    """A path as it is, a name alone in one of the lesson's folders."""
    saved = {step.terminal.split("/")[-1] for step in steps(page) if step.edits == "file"}
    for code in inline(page, "code_inline"):
        if code.content.split("/")[-1] in saved:
            continue
        if re.fullmatch(r"[\w./-]+\.(py|conf|txt)", code.content):
            places = [ROOT, ROOT / "wsgi", ROOT / "asgi", ROOT / "nginx"]
            made_by_django = code.content in ("wsgi.py", "asgi.py")
            exists = any((place / code.content).exists() for place in places)
            assert exists or made_by_django, code.content


@pytest.mark.parametrize("page", PAGES)
def test_a_version_that_is_named_is_the_pinned_one(page):
    text = (ROOT / page).read_text()
    found = re.findall(r"\b([A-Za-z]+-?[a-z]*) (\d+\.\d+\.\d+)\b", text)
    for name, version in found:
        if name.lower() in PINNED:
            assert version == PINNED[name.lower()], f"{name} {version}"


@pytest.mark.parametrize("page", PAGES)
def test_the_notation(page):
    """The terminals are those that the README names; an edit names its file."""
    saved = [step.terminal for step in steps(page) if step.edits == "file"]
    for step in steps(page):
        if step.edits == "diff":
            assert step.terminal in saved or (ROOT / step.terminal).is_file(), step
        elif step.edits:
            assert step.terminal.endswith(".py"), step
        else:
            assert step.terminal in ("", "wsgi", "asgi", "nginx", "load", "more", "shop"), (
                step
            )
    if found := endless(steps(page)):
        pytest.fail("\n".join([page, *found]), pytrace=False)
    typed = [step.typed for step in steps(page)]
    assert not typed or any("activate" in line for line in typed)


@pytest.mark.parametrize(
    "typed, is_endless",
    [
        ("gunicorn -w 4 app:app", True),
        ("PORT=9000 gunicorn app:app", True),
        ("python runfromuvicorn.py", True),
        ("python tiny_server.py slow_app", True),
        ("(ulimit -n 50; exec uvicorn slow_app:app)", True),
        ("sh -c 'echo $$ > server.pid; exec uvicorn app:app'", True),
        ("nginx -p . -c nginx.conf -e stderr", True),
        ("locust", True),
        ("uvicorn app:app 2>&1", True),
        ("uvicorn broken:app; echo exit code $?", False),
        ("uvicorn app:app & sleep 1; kill $!", False),
        ("timeout 5 gunicorn app:app", False),
        ("gunicorn --check-config app:app", False),
        ("gunicorn --version", False),
        ("nginx -t -p . -c nginx.conf", False),
        ("locust --headless --users 10 --run-time 9s", False),
        ("python compare.py 'wsgi$ gunicorn -w 3 slow_app:app' --users 12", False),
        ("python -c 'import gunicorn'", False),
        ("echo 'echo $$; exec uvicorn app:app' > start.sh", False),
        ("grep -c gunicorn log", False),
    ],
)
def test_a_server_that_nothing_ends_is_found(typed, is_endless):
    """A server where the page goes on: the walkthrough would wait ten minutes for it."""
    assert bool(endless([Step(1, "wsgi", typed, follows="curl")])) == is_endless
    assert not endless([Step(1, "wsgi", typed, follows="^C")])
    assert not endless([Step(1, "wsgi", typed, "ERROR: no\n", follows="curl")])


ORDER = ["waiting-and-computing", "bottlenecks", "conversations", "frameworks"]
ORDER += [
    "your-application",
    "load-tests",
    "production",
    "restarts",
    "containers",
    "sizing",
]
BESIDES = ["questions", "troubleshooting", "class", "worksheet", "exercises", "servers"]


def test_chapters_lead_from_one_to_the_next():
    """From the README each page can be reached, and from each chapter the next one."""

    def links(page):
        found = inline(f"docs/{page}.md" if page else "README.md", "link_open")
        return {Path(link.attrs["href"].split("#")[0]).stem for link in found}

    assert links("") >= {*ORDER, "questions", "troubleshooting", "class"}
    assert links("class") >= {"worksheet", "exercises"}
    for here, there in itertools.pairwise(ORDER):
        assert there in links(here), (here, there)
    assert sorted(ORDER + BESIDES) == sorted(Path(page).stem for page in PAGES[1:])


def test_the_workflow_is_valid():
    workflow = ROOT / ".github" / "workflows" / "test.yml"
    command = [sys.executable, "-m", "check_jsonschema"]
    command += ["--builtin-schema", "vendor.github-workflows", str(workflow)]
    subprocess.run(command, check=True, capture_output=True)
    assert "make test" in workflow.read_text()
