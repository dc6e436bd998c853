"""Reads the pages: what they have their reader type, what they link to, what they show."""

import functools
import itertools
import re
from typing import NamedTuple

from markdown_it import MarkdownIt
from support import ROOT

PAGES = ["README.md", *sorted(f"docs/{page.name}" for page in ROOT.glob("docs/*.md"))]
SAVED = re.compile(r"Save this as `([\w./-]+)`")
SERVER = re.compile(  # the last command of a line, if it runs until somebody stops it
    r"""(?:^|[;&|(]|\bexec)\ *(?:\w+=\S+\ +)*(?:python\ -m\ )?
    (?:gunicorn|uvicorn|nginx|locust|http\.server|python\ (?:run\w+|\w+_server)\.py)
    (?=[ )'"])
    (?!.*\ --?(?:check-config|headless|limit-max-requests|version|help|[tsvVh])\ )
    (?:[^;&|]|>&)*$""",
    re.VERBOSE,
)
# What stands in quotation marks is no command, unless `sh -c` runs it.
QUOTED = re.compile(r"""(?<!-c )('[^']*'|"[^"]*")""")
STOPPED = re.compile("error|exiting|failed to|shutting down|terminating|finished server")


class Step(NamedTuple):
    """What a page has its reader do, and what is printed then."""

    line: int
    terminal: str  # "" for `$`, "wsgi" for `wsgi$`; of an edit the path of the file
    typed: str  # "^C" for Ctrl-C, "" for a look at what is printed; of an edit its text
    printed: str = ""
    edits: str = ""  # "diff" for changes to a file, "file" for a whole one
    cores: bool = False  # whether what is printed depends on how many cores there are
    follows: str | None = None  # what is typed next in the same terminal, if anything

    @property
    def goes_on(self):
        """Return whether it still runs then: a look, Ctrl-C or input follows."""
        follows = "exit" if self.follows is None else self.follows
        return not follows or follows.startswith(("^", ">", "(Pdb)"))


@functools.cache
def tokens(page):
    """Return the Markdown tokens of the `page`, a path inside the repository."""
    return MarkdownIt("gfm-like", {"linkify": False}).parse((ROOT / page).read_text())


def titles(page):
    """Return the page's titles as the anchors that links name."""
    found = itertools.pairwise(tokens(page))
    names = [b.content for a, b in found if a.type == "heading_open"]
    return [re.sub(r"[^\w -]", "", name).lower().replace(" ", "-") for name in names]


def inline(page, kind):
    """Return what the page's sentences and tables hold of that `kind` (markdown-it's)."""
    found = [child for t in tokens(page) if t.type == "inline" for child in t.children]
    return [child for child in found if child.type == kind]


@functools.cache
def steps(page):
    """Return the Steps of the page, in the notation that the README explains.

    In a `console` block a line with a prompt is typed, all else is printed. A `sh` block is
    typed at `$`, and prints what a `text` block shows after it, or anything. A `diff` block
    is an edit to the file named last, a `python` block after "Save this as" a whole file.
    """
    found, file, saved, cores = [], "", None, False
    for token in tokens(page):
        line = token.map[0] + 2 if token.map else 0
        if token.type == "inline":
            for named in re.findall(r"`(\w+/\w+\.\w+|\w+\.py)`", token.content):
                file = named  # the last one is the file that a diff edits
            saved = SAVED.search(token.content)
            cores = bool(re.search(r"\bOn \d+ cores\b", token.content))
        elif token.type != "fence":
            continue
        elif token.info == "console":
            for number, text in enumerate(token.content.splitlines(), line):
                prompt = re.match(r"(\w*)\$(?: (.*))?$", text)
                program = found[-1] if found else Step(0, "", "")
                if prompt:
                    found.append(Step(number, prompt[1], prompt[2] or "", cores=cores))
                elif text.startswith((">>> ", "(Pdb) ")) or (
                    text.startswith("> ") and re.match("> |.* websockets ", program.typed)
                ):
                    found.append(Step(number, program.terminal, text))
                else:
                    printed = f"{program.printed}{text}\n"
                    found[-1] = program._replace(printed=printed)
        elif token.info == "sh":
            commands = token.content.splitlines()
            found += [Step(line + n, "", c, "...\n") for n, c in enumerate(commands)]
        elif token.info == "text":
            found[-1] = found[-1]._replace(printed=token.content, cores=cores)
        elif token.info == "diff":
            found.append(Step(line, file, token.content, edits="diff"))
        elif token.info == "python" and saved:
            found.append(Step(line, saved[1], token.content, edits="file"))
    follows = {}
    for number, step in reversed(list(enumerate(found))):
        if not step.edits:
            found[number] = step._replace(follows=follows.get(step.terminal))
            follows[step.terminal] = step.typed
    return found


def endless(steps):
    """Return a sentence for each server that nothing ends: nobody could type what follows.

    In its own terminal `^C` must follow, or a look, or what is typed into it. A server that
    says on the page that it has stopped, for example with an error, needs none of them.
    """
    return [
        f"line {step.line}: {step.terminal}$ {step.typed}\n  runs until somebody stops it: "
        f"let `^C`, or a look (`{step.terminal}$` alone), be next in this terminal"
        for step in steps
        if not (step.edits or step.goes_on or STOPPED.search(step.printed.lower()))
        and SERVER.search(QUOTED.sub("''", step.typed) + " ")
    ]
