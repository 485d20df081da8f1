"""Every command and snippet of README and docs: parsed by the real program, and run on small generated films.

A block that cannot run here has a marker above it that says why, as ``<!-- test: parse only, REASON -->``; one that
takes minutes has ``<!-- test: slow -->`` and runs with ``pytest -m slow``.
"""

import re
import shlex
import shutil
import tomllib

import pytest
import typer
from documents import MARKERS, PAGES, ROOT, blocks_of

from graphret.cli.app import command_app
from graphret.comparison import read_experiment
from graphret.data import read_dataset_spec
from graphret.tuning import build_index

BLOCKS = [block for page in PAGES for block in blocks_of(page)]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
GROUP = typer.main.get_command(command_app())
LONG = {"demo", "train", "build", "tune", "compare"}
"""Commands that the default run only parses."""
SMALL = {
    "demo": ["--films", "60", "--size", "32", "--epochs", "1", "--encoder", "resnet18", "--out", "small-demo"],
    "train": ["--epochs", "1", "--size", "32", "--batch-size", "16"],
    "build": ["-k", "10"],
    "tune": ["--budget", "20", "--n-queries", "40"],
    "compare": ["--epochs", "1", "--size", "32"],
}
"""What the slow run adds, so that a command takes seconds; the last of two equal options counts."""
OTHER_WORDS = {"mkdocs", "mypy", "pytest", "python", "python3", "ruff", "."}
"""Programs that shell blocks may name besides graphret and pip; their scripts must exist."""


def commands(block):
    """The commands of a shell block: comments, continuation lines and ``&&`` taken apart."""
    for line in block.text.replace("\\\n", " ").splitlines():
        parts = shlex.split(line, comments=True)
        while parts:
            end = parts.index("&&") if "&&" in parts else len(parts)
            yield parts[:end]
            parts = parts[end + 1 :]


def graphret_commands(block):
    return [words[1:] for words in commands(block) if words[0] == "graphret"]


def shell_blocks():
    return [block for block in BLOCKS if block.language == "sh"]


def is_information(words):
    return bool({"--help", "--version", "--list-templates"} & set(words))


def test_blocks_have_known_languages_and_markers_with_reasons():
    wrong = [block.place for block in BLOCKS if block.language not in {"sh", "python", "toml", "text"}]
    wrong += [block.place for block in BLOCKS if block.marker and not MARKERS.fullmatch(block.marker)]
    fences = sum(page.read_text(encoding="utf-8").count("\n```") for page in PAGES)
    assert fences == 2 * len(BLOCKS), "a fence that is not seen as a block: give it a language"
    markers = sum(page.read_text(encoding="utf-8").count("<!-- test:") for page in PAGES)
    assert markers == sum(bool(block.marker) for block in BLOCKS), "a marker that stands before no block"
    assert not wrong


@pytest.mark.parametrize("block", shell_blocks(), ids=lambda block: block.place)
def test_commands_are_understood_by_the_program(block):
    for words in commands(block):
        if words[0] == "graphret":
            if not is_information(words):
                GROUP.commands[words[1]].make_context(words[1], words[2:])  # type: ignore[attr-defined]
        elif words[0] == "pip":
            extras = re.search(r"\[([\w,]+)\]", words[-1])
            assert words[1] == "install"
            assert set(extras[1].split(",")) <= set(EXTRAS)
        else:
            assert words[0].partition("=")[0] in OTHER_WORDS | {"PYTHONPATH"}, words
            assert all((ROOT / word).is_file() for word in words if word.endswith(".py"))


def test_a_wrong_option_would_be_seen():
    with pytest.raises(Exception, match="No such option"):
        GROUP.commands["query"].make_context("query", ["index", "film", "--no-such-option"])  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", sorted({block.page for block in shell_blocks()}))
def test_quick_commands_run(page, scratch, run):
    for block in shell_blocks():
        if block.page != page or block.marker:
            continue
        for words in graphret_commands(block):
            if words[0] not in LONG or is_information(words):
                done = run(*words)
                assert done.status == 0, f"{block.place}: graphret {' '.join(words)}: {done.err}"
                assert done.out.strip(), f"{block.place}: graphret {' '.join(words)} said nothing"


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted({block.page for block in shell_blocks()}))
def test_all_commands_run(page, scratch, run):
    for folder in ("runs", "indexes"):
        if page == "README.md":
            shutil.rmtree(scratch / folder)  # its own commands make them
    for block in shell_blocks():
        if block.page != page or block.marker.startswith("parse only"):
            continue
        for words in graphret_commands(block):
            done = run(*words, *([] if is_information(words) else SMALL.get(words[0], [])))
            assert done.status == 0, f"{block.place}: graphret {' '.join(words)}: {done.err}"


def python_pages(*, slow):
    return sorted({block.page for block in BLOCKS if block.language == "python" and (block.marker == "slow") == slow})


def run_python(page, scratch, *, slow):
    """Run the python blocks of a page in order; a text block after one shows its output, figures apart."""
    blocks = [block for block in BLOCKS if block.page == page and block.language in {"python", "text"}]
    for name in re.findall(r'out="([\w/-]+)"', "".join(block.text for block in blocks)):
        shutil.rmtree(scratch / name, ignore_errors=True)  # the page makes it itself
    names = {}
    said = []
    names["print"] = lambda *values: said.append(" ".join(map(str, values)))
    for block in blocks:
        if block.language == "text" and said:
            assert masked("\n".join(said)) == masked(block.text), block.place
        if block.language == "python" and (slow or not block.marker):
            said.clear()
            exec(compile(block.text, block.place, "exec"), names)  # noqa: S102 - our own text
    return names


def masked(text):
    """A text without its figures: what a snippet prints depends on a training."""
    return re.sub(r"[-+]?\d[\d.]*", "#", text).split()


@pytest.mark.parametrize("page", python_pages(slow=False))
def test_snippets_run_in_order(page, scratch, monkeypatch):
    monkeypatch.setattr(build_index, "LEAST_SECONDS", 1.0)  # a build of a second tunes for as long
    assert run_python(page, scratch, slow=False)


@pytest.mark.slow
@pytest.mark.parametrize("page", python_pages(slow=True))
def test_slow_snippets_run(page, scratch):
    assert run_python(page, scratch, slow=True)


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.language == "toml"], ids=lambda block: block.place
)
def test_toml_files_are_read(block, tmp_path):
    path = tmp_path / "shown.toml"
    path.write_text(block.text, encoding="utf-8")
    read = {"docs/comparison.md": read_experiment}.get(block.page, read_dataset_spec)
    assert read(path).name == tomllib.loads(block.text)["name"]  # type: ignore[attr-defined]
