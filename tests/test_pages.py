"""The pages without typing them: listings, links, paths, versions, notation, length."""

import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pages import PAGES, Step, endless, inline, steps, titles, tokens
from support import ROOT

PINNED = {
    name.lower().replace("_", "-"): version
    for path in (*ROOT.glob("requirements*.txt"), ROOT / "constraints.txt")
    for name, version in re.findall(
        r"(?m)^([\w.-]+)(?:\[\w+\])?==([\d.]+)", path.read_text()
    )
}
needs_pins = pytest.mark.skipif(not PINNED, reason="the newest versions, none is pinned")
NAMES = "|".join(sorted(map(re.escape, PINNED), key=len, reverse=True))
# "gunicorn 27.0.1", "**Flask** 3.1.3", "| gunicorn | 27.0.1 |", "gunicorn/27.0.1"
SAID = re.compile(rf"(?i)(?<![\w./-])({NAMES})(?:\[\w+\])?[\s*_`|=/]+v?(\d+\.\d+\.\d+)\b")
# "github.com/django/django/blob/5.2.19/", "docs.djangoproject.com/en/5.2/", "rel_2_1_9"
LINKED = re.compile(
    rf"(?i)//\S*?\b({NAMES})(?:project)?\b[\w./-]*?/(?:v|rel_)?(\d+(?:[._]\d+)+)(?=[/#)])"
)


def stale_versions(page, text):
    """Return a line for each version in the page's `text` that is not the pinned one."""
    stale = []
    for found in sorted([*SAID.finditer(text), *LINKED.finditer(text)], key=re.Match.start):
        name, version = found[1].lower(), found[2].replace("_", ".")
        if not f"{PINNED[name]}.".startswith(f"{version}."):  # a link may say 5.2 of 5.2.19
            line = text.count("\n", 0, found.start(2)) + 1
            stale.append(f"{page}:{line}: {name} {version}, pinned is {PINNED[name]}")
    return stale


CONTRIBUTING = ".github/CONTRIBUTING.md"
TERMINALS = "", "wsgi", "asgi", "nginx", "load", "more", "shop"
ORDER = [
    "lesson",
    "write-a-server",
    "waiting-and-computing",
    "bottlenecks",
    "conversations",
]
ORDER += ["frameworks", "your-application", "load-tests"]
ORDER += ["production", "restarts", "containers", "sizing"]
BESIDES = ["questions", "troubleshooting", "class", "worksheet", "exercises"]


def fences(page, kind):
    """Return the contents of the page's blocks of that `kind`."""
    found = [t for t in tokens(page) if t.type == "fence" and t.info == kind]
    return [token.content for token in found]


def test_a_listing_is_its_file():
    """Those of the README: both app.py, whole."""
    files = [(ROOT / folder / "app.py").read_text() for folder in ("wsgi", "asgi")]
    assert fences("README.md", "python") == files


@pytest.mark.parametrize("page", [*PAGES, CONTRIBUTING])
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


@pytest.mark.parametrize("page", [*PAGES, CONTRIBUTING])
def test_a_file_that_is_named_exists(page):
    """A path as it is, a name alone in one of the lesson's folders."""
    saved = {step.terminal.split("/")[-1] for step in steps(page) if step.edits == "file"}
    for code in inline(page, "code_inline"):
        if code.content.split("/")[-1] in saved:
            continue
        if re.fullmatch(r"[\w./-]+\.(py|conf|txt)", code.content):
            folders = ("", "wsgi", "asgi", "nginx", "figures", "tests", ".github")
            exists = any((ROOT / folder / code.content).exists() for folder in folders)
            made_by_django = code.content in ("wsgi.py", "asgi.py")
            assert exists or made_by_django, code.content


@needs_pins
def test_versions_that_are_named_are_the_pinned_ones():
    """All that are not, each by its page and line: what is left to do after a new pin."""
    found = [
        line for page in PAGES for line in stale_versions(page, (ROOT / page).read_text())
    ]
    if found:
        pytest.fail("\n".join(["These versions are not the pinned ones:", *found]), False)


@needs_pins
@pytest.mark.parametrize(
    "text",
    [
        "with gunicorn 1.2.3",
        "with gunicorn\n1.2.3",
        "**Gunicorn** 1.2.3",
        "`uvicorn[standard]==1.2.3`",
        "Server: gunicorn/1.2.3",
        "| starlette | 1.2.3 |",
        "[a](https://github.com/django/django/blob/1.2.3/django/db.py#L1)",
        "[a](https://docs.djangoproject.com/en/1.2/topics/)",
        "[a](https://github.com/fastapi/fastapi/blob/1.2.3/fastapi/routing.py)",
        "[a](https://github.com/sqlalchemy/sqlalchemy/blob/rel_1_2_3/lib/pool.py)",
        "[a](https://docs.locust.io/en/1.2.3/api.html)",
    ],
)
def test_a_stale_version_is_found(text):
    (found,) = stale_versions("page.md", f"one\n{text}\n")
    assert re.match(r"page.md:[23]: \w+ 1\.2", found)


@needs_pins
@pytest.mark.parametrize(
    "text",
    [
        f"gunicorn {PINNED.get('gunicorn')} and uvicorn {PINNED.get('uvicorn')}",
        f"https://github.com/django/django/blob/{PINNED.get('django')}/django/db.py",
        "Psycopg 3.1.14, gunicorn at 127.0.0.1, gunicorn 25, Python 3.14.2",
        "https://docs.python.org/3.14/library/asyncio-tools.html",
    ],
)
def test_other_versions_are_not(text):
    assert not stale_versions("page.md", text)


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
            assert step.terminal in TERMINALS, step
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


def test_chapters_lead_from_one_to_the_next():
    """From the README each page can be reached, and from each chapter the next one.

    The worksheet and the exercises are for a class, and can be reached from there.
    """

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
    text = workflow.read_text()
    assert "make ${{ matrix.command }}" in text
    assert re.findall(r"command: \[?(\w+)", text) == ["test", "walkthrough"]
