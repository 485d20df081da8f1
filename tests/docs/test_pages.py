"""What the pages say of the code is true of it: commands, keys of dataset specs, floors, links; and it can be read."""

import ast
import dataclasses
import html
import importlib
import importlib.util
import json
import re
import tomllib
import typing
from pathlib import Path

import pytest
from documents import PAGES, ROOT, named, prose_of, tables_of

from graphret.data import read_dataset_spec

URLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
HARD_TO_READ = re.compile(
    r"\b[Ff]ilms ask\b|\bleft away\b|\b[Ee]verybody gets|\b[Nn]obody waits|\bP[1-5]\b|\bSPEC\b|\b[Cc]ards?\b"
)
"""Words of our own that earlier pages had, and names that no reader can decode."""
LONGEST_SENTENCE = 52


def page(name):
    return (ROOT / name).read_text(encoding="utf-8")


def script(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_readme_is_short_and_has_two_pictures():
    text = page("README.md")
    assert len(text.splitlines()) < 110
    pictures = re.findall(r"!\[[^\]]+\]\((\S+)\)", text)
    assert len(pictures) == 2
    assert all((ROOT / picture.partition("/main/")[2]).stat().st_size < 300_000 for picture in pictures)


def test_links_lead_to_files_of_the_repository():
    wrong = []
    for path in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
            inside = re.fullmatch(
                r"https://(?:github\.com/\S+?/blob|raw\.githubusercontent\.com/\S+?)/main/(\S+)", target
            )
            if inside:
                fits = target.startswith(
                    (URLS["Repository"], URLS["Repository"].replace("github", "raw.githubusercontent"))
                )
                if not fits or not (ROOT / inside[1].partition("#")[0]).is_file():
                    wrong.append(f"{named(path)}: {target}")
            elif not target.startswith(("https://", "#")):
                if path.name == "README.md":
                    wrong.append(f"README.md, which is the package's page too: {target} is relative")
                elif not (path.parent / target.partition("#")[0]).is_file():
                    wrong.append(f"{named(path)}: {target}")
    assert not wrong


def test_every_page_is_on_the_site():
    listed = re.findall(r"^ +- .+: (\S+\.md)$", page("mkdocs.yml"), flags=re.MULTILINE)
    there = [path.relative_to(ROOT / "docs").as_posix() for path in PAGES if (ROOT / "docs") in path.parents]
    assert sorted(listed) == sorted(there)


def test_the_command_page_is_what_the_program_says():
    writer = script(ROOT / "docs" / "write_command_line.py")
    assert page("docs/command_line.md").split(writer.MARK)[1].strip() == writer.command_pages().strip(), (
        "run python docs/write_command_line.py"
    )


def spec_keys(kind, prefix=""):
    """Every key of a dataset spec with its default, in the order of the dataclasses."""
    hints = typing.get_type_hints(kind)
    for entry in dataclasses.fields(kind):
        if dataclasses.is_dataclass(hints[entry.name]):
            yield from spec_keys(hints[entry.name], f"{prefix}{entry.name}.")
        else:
            default = (
                entry.default_factory()
                if entry.default is dataclasses.MISSING and callable(entry.default_factory)
                else entry.default
            )
            yield f"{prefix}{entry.name}", "required" if default is dataclasses.MISSING else default


def test_the_table_of_dataset_specs_has_every_key_and_its_default():
    tables = tables_of(page("docs/your_own_films.md"))
    rows = next(rows for marker, rows in tables if marker == "<!-- dataset spec keys -->")[1:]
    shown = {
        key.strip("`"): default
        if default == "required"
        else json.loads(html.unescape(re.sub(r"</?code>|`", "", default)))
        for key, default, _ in rows
    }
    expected = dict(spec_keys(type(read_dataset_spec("nih"))))
    assert shown == {key: list(value) if isinstance(value, tuple) else value for key, value in expected.items()}
    assert all(meaning for *_, meaning in rows)


def test_the_table_of_floors_is_the_one_that_is_tested():
    floors = ast.literal_eval(
        re.search(r"^FLOORS = (\[.*?^\])", page("tests/rules/test_layers.py"), re.MULTILINE | re.DOTALL)[1]
    )
    rows = next(rows for marker, rows in tables_of(page("docs/how_it_works.md")) if marker == "<!-- floors -->")[1:]
    shown = [set() for _ in floors]
    for floor, rooms, _ in rows:
        shown[int(floor)] |= set(re.findall(r"`(\w+)`", rooms))
    assert shown == floors


@pytest.mark.parametrize(
    "module", sorted(path.stem for path in (ROOT / "docs" / "api").glob("*.md")), ids=lambda name: name
)
def test_api_pages_have_the_public_names(module):
    """A name hidden by a file of the same name is not found by mkdocstrings, so the page gives it apart."""
    text = page(f"docs/api/{module}.md")
    name = re.search(r"^# (\S+)", text)[1]
    package = importlib.import_module(name)
    assert f"::: {name}\n" in text
    home = Path(package.__file__).parent
    hidden = [entry for entry in package.__all__ if (home / f"{entry}.py").is_file()]
    homes = {entry: getattr(package, entry).__module__ for entry in hidden}
    assert [entry for entry in hidden if f"::: {homes[entry]}.{entry}\n" not in text and name != "graphret"] == []


def test_figures_of_the_pages_stand_in_their_records():
    wrong = []
    for path in PAGES:
        for marker, rows in tables_of(path.read_text(encoding="utf-8")):
            named_record = re.fullmatch(r"<!-- (rows|figures) of (\S+) -->", marker)
            if named_record:
                kind, record = named_record[1], page(named_record[2])
                for row in rows[1:]:
                    whole = "| " + " | ".join(row) + " |"
                    figures = re.findall(r"[-+]?\d+\.\d+", " ".join(row))
                    if (kind == "rows" and whole not in record) or any(figure not in record for figure in figures):
                        wrong.append(f"{named(path)}: {whole}")
            elif rows[0][-1] == "record" and path.name != "README.md":  # which has a stricter test of its own
                wrong += [f"{named(path)}: {row[0]}: {lost}" for row in rows[1:] for lost in figures_lost(row)]
    assert not wrong


def figures_lost(row):
    """Figures of a row that no number of its records rounds to."""
    names = re.findall(r"benchmarks/results/(\w+)\.md", row[-1])
    record = "\n".join(page(f"benchmarks/results/{name}.md") for name in names).replace(",", "")
    known = [float(number) for number in re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?:e-\d+)?", record)]
    for cell in row[1:-1]:
        for figure in re.findall(r"(?<![\w@.,-])\d+(?:\.\d+)?(?![\w@])", cell.replace(",", "")):
            digits = len(figure.partition(".")[2])
            if not any(abs(number - float(figure)) <= 0.5000001 * 10.0**-digits for number in known):
                yield figure


def test_a_figure_that_no_record_has_would_be_seen():
    link = "[knn_graph](x/benchmarks/results/knn_graph.md)"
    assert list(figures_lost(["what", "44.8 s", "IndexFlatIP 162.3 s", link])) == []
    assert list(figures_lost(["what", "44.2 s", "IndexFlatIP 999.9 s", link])) == ["44.2", "999.9"]


def written_text(path):
    """A page without what is made from the program, whose words are those of the docstrings."""
    return path.read_text(encoding="utf-8").split("<!-- Below: written by")[0]


def test_sentences_are_short_and_in_plain_words():
    wrong = []
    for path in PAGES:
        for paragraph in prose_of(written_text(path)):
            plain = re.sub(r"`[^`]*`|\[([^\]]*)\]\([^)]*\)", lambda found: found[1] or "x", paragraph)
            if path.name != "references.md":  # it says what earlier names meant
                wrong += [f"{named(path)}: {found[0]!r}: {paragraph[:80]}" for found in HARD_TO_READ.finditer(plain)]
            for sentence in re.split(r"(?<=[.:;!?])\s+(?=[A-Z0-9*x])", plain):
                if len(sentence.split()) > LONGEST_SENTENCE:
                    wrong.append(f"{named(path)}: {len(sentence.split())} words: {sentence[:100]!r}")
    assert not wrong, "\n" + "\n".join(wrong)


def test_lines_are_not_endless():
    wrong = []
    for path in PAGES:
        for number, line in enumerate(written_text(path).splitlines(), start=1):
            if len(line) > 140 and not line.startswith(("|", "    ", "![")) and "://" not in line:
                wrong.append(f"{named(path)}:{number}: {len(line)} characters")
    assert not wrong


def test_files_that_are_named_are_there():
    there = [path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py") if ".venv" not in path.parts]
    wrong = []
    for path in PAGES:
        for name in re.findall(r"`(?:python )?([\w/]+\.py)`", path.read_text(encoding="utf-8")):
            if not any(f"/{file}".endswith(f"/{name}") for file in there):
                wrong.append(f"{named(path)}: {name}")
    assert not wrong


def test_the_stories_of_build_and_query_are_as_long_as_they_say():
    text = page("CONTRIBUTING.md")
    for story, length in re.findall(r"^\*\*The story of `(\w+)`, in (\d) files:\*\*$", text, flags=re.MULTILINE):
        part = text.split(f"**The story of `{story}`")[1].split("\n\n")[1]
        assert len(re.findall(r"^\d\. `[\w/]+\.py`", part, flags=re.MULTILINE)) == int(length)


@pytest.mark.parametrize("picture", ["pipeline", "ranking"])
def test_the_pictures_of_the_way_are_drawn_by_the_package(tmp_path, picture):
    from PIL import Image

    pictures = ROOT / "docs" / "pictures"
    script(pictures / f"draw_{picture}.py").draw(tmp_path / "drawn.png")
    with Image.open(tmp_path / "drawn.png") as drawn, Image.open(pictures / f"{picture}.png") as shown:
        assert abs(drawn.width - shown.width) < 40
        darkest, lightest = drawn.convert("L").getextrema()
        assert (darkest < 40, lightest) == (True, 255)


def test_the_contact_sheet_is_drawn_from_a_demo(workshop, tmp_path):
    from PIL import Image

    script(ROOT / "docs" / "pictures" / "draw_contact_sheet.py").draw(
        workshop / "graphret-demo", tmp_path / "drawn.png"
    )
    with (
        Image.open(tmp_path / "drawn.png") as drawn,
        Image.open(ROOT / "docs" / "pictures" / "contact_sheet.png") as shown,
    ):
        assert drawn.size == shown.size


@pytest.mark.parametrize(("picture", "drawing"), [("hits", "draw"), ("examples", "draw_examples")])
def test_the_pictures_of_hits_are_drawn_from_a_demo(workshop, tmp_path, picture, drawing):
    """Their height is that of the words under the films, which depend on the hits."""
    from PIL import Image

    draw = getattr(script(ROOT / "docs" / "pictures" / "draw_hits.py"), drawing)
    draw(workshop / "graphret-demo", tmp_path / "drawn.png")
    kept = ROOT / "docs" / "pictures" / f"{picture}.png"
    with Image.open(tmp_path / "drawn.png") as drawn, Image.open(kept) as shown:
        assert drawn.width == shown.width
        assert abs(drawn.height - shown.height) < 200
