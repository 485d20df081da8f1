"""The report: published figures only in columns of their own, one page without anything from outside, differences."""

import base64
import itertools
import math
import re
from html.parser import HTMLParser

import pytest

from graphret.comparison.plots import plots
from graphret.comparison.published import OTHER_IMAGES
from graphret.comparison.significance import holm
from graphret.comparison.tables import report_tables


class Page(HTMLParser):
    """Collects tags, and cells of tables with their classes."""

    def __init__(self):
        super().__init__()
        self.tags, self.cells, self.open = [], [], None

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in {"td", "th"}:
            self.cells.append([dict(attrs).get("class", ""), ""])
            self.open = tag

    def handle_endtag(self, tag):
        if tag == self.open:
            self.open = None

    def handle_data(self, data):
        if self.open:
            self.cells[-1][1] += data


@pytest.fixture(scope="module")
def saved(ran, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    return folder, ran.comparison.save(folder)


def test_published_figures_stand_in_columns_of_their_own(ran):
    tables = {table.title: table for table in report_tables(ran.comparison.to_dict())}
    figures = tables["Figures"]
    n_ours = 3 + len(ran.experiment.measures)
    assert figures.foreign == tuple(range(n_ours, len(figures.head)))
    assert figures.head[n_ours:] == (f"{OTHER_IMAGES}: Cai et al. 2019, Table 1, mAP@100",)
    by_row = {line[:3]: line[n_ours:] for line in figures.lines}
    assert by_row["lsh", "16", "hamming"] == ("0.3271",)
    assert {cells for name, cells in by_row.items() if name != ("lsh", "16", "hamming")} == {("",)}
    assert not any("published" in cell for line in figures.lines for cell in line)
    assert not any("published" in name for name in figures.head[:n_ours])
    other = f"{OTHER_IMAGES} (the films are those of 'phantom', the paper's are 'via-elcap')"
    own = tables[f"Cai et al. 2019, Table 1: {other}"]
    assert own.head == ("method of the paper", "bits", "published mAP@100")
    assert ("Ours", "48", "0.8163") in own.lines
    for title in ("Costs", "Differences from densenet121, nearest"):
        assert not any("0.8163" in cell for line in tables[title].lines for cell in line)


def test_a_published_figure_stands_beside_its_method_and_length(ran):
    document = ran.comparison.to_dict()
    for row in document["rows"]:
        row["n_bits"] = 48 if row["method"] == "lsh" else row["n_bits"]
    figures = report_tables(document)[0]
    place = figures.head.index(f"{OTHER_IMAGES}: Cai et al. 2019, Table 1, mAP@100")
    assert [line[place] for line in figures.lines if line[0] == "lsh"] == ["0.3653", ""]
    assert {line[place] for line in figures.lines if line[0] != "lsh"} == {""}
    for table in document["published"]:
        table["other_images"] = ""
    assert "published, the same images: Cai et al. 2019, Table 1, mAP@100" in report_tables(document)[0].head


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.1, 0.3, "as published"), (-0.3, -0.1, "reversed"), (-0.1, 0.1, "not told apart"), (None, None, "undefined")],
)
def test_an_order_holds_where_its_interval_leaves_out_zero(ran, low, high, said):
    document = ran.comparison.to_dict()
    pair = document["orders"][0]
    pair["differences"]["P@10"] = {"mean": 0.2, "low": low, "high": high, "p_value": 0.01, "p_holm": 0.04}
    table = next(table for table in report_tables(document) if table.title == "Orders of the papers")
    assert table.head == ("order", "better in the paper", "than", "P@10")
    assert table.lines[0][:3] == ("systems", "densenet121, nearest", "gem untrained, nearest")
    assert table.lines[0][3].endswith(f": {said}")


def test_rankings_of_the_same_codes_have_a_table(ran):
    table = next(
        table for table in report_tables(ran.comparison.to_dict()) if table.title == "Rankings of the same codes"
    )
    assert ("lsh", "16", "region_growing:bits", "hamming") in {line[:4] for line in table.lines}
    assert len(table.lines) == len(ran.comparison.same_codes)


def test_markdown_says_what_was_measured(ran):
    text = ran.comparison.to_markdown()
    assert text.startswith("# Small films\n")
    assert "no query took part in a graph" in text
    assert "the same budget: 1 epochs, 32 px" in text
    assert "(Holm)" in text
    assert "| siamese_hash |  |  | encoder='alexnet'" in text
    assert "## Ties of Hamming distances" in text
    assert "## AUC by label" in text


def test_the_page_needs_nothing_from_outside(saved):
    folder, written = saved
    assert {path.name for path in written} >= {"comparison.json", "comparison.md", "comparison.html"}
    text = (folder / "comparison.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert not {"script", "link", "iframe", "object", "embed"} & {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        for name in ("src", "href", "xlink:href", "data", "action"):
            value = attributes.get(name) or ""
            assert value == "" or value.startswith(("#", "data:image/png;base64,")), value
    assert not re.search(r"@import|url\((?!#)", text)
    assert not re.search(r"<metadata", text)
    assert any(kind == "foreign" and cell == "0.8163" for kind, cell in page.cells)
    assert not any(kind == "" and cell == "0.8163" for kind, cell in page.cells)
    pictures = [attributes["src"] for tag, attributes in page.tags if tag == "img"]
    assert len(pictures) == 2
    for source in pictures:
        assert base64.b64decode(source.partition(",")[2]).startswith(b"\x89PNG")


def test_plots_hold_the_figures(ran):
    drawn = plots(ran.comparison.to_dict())
    assert list(drawn) == ["Precision against K", "P@10 against bytes per film", "P@10 against milliseconds per query"]
    assert all(svg.startswith("<svg") for svg in drawn.values())
    assert "random, 16 bits" in drawn["Precision against K"]
    assert plots(ran.comparison.to_dict()) == drawn
    assert plots({**ran.comparison.to_dict(), "rows": []}) == {}


def test_the_same_queries_are_on_every_sheet(saved):
    folder, written = saved
    sheets = [path for path in written if path.suffix == ".png"]
    assert sorted(path.name for path in sheets) == ["densenet121-nearest.png", "gem-untrained-nearest.png"]
    assert all(path.parent == folder / "sheets" for path in sheets)


def test_holm_keeps_the_chance_of_one_false_finding():
    def rejected(p_values, level):
        """By the definition: closed testing with Bonferroni's test for every subset."""
        every = range(len(p_values))
        subsets = [set(some) for size in range(1, len(p_values) + 1) for some in itertools.combinations(every, size)]
        hard = [some for some in subsets if min(p_values[i] for i in some) <= level / len(some)]
        return [all(some in hard for some in subsets if number in some) for number in every]

    for p_values in ([0.01, 0.04, 0.03], [0.5, 0.001, 0.02, 0.02], [0.05], [0.9, 0.8]):
        for level in (0.01, 0.05, 0.1, 0.2):
            assert [p <= level for p in holm(p_values)] == rejected(p_values, level)
    assert math.isnan(holm([0.1, math.nan])[1])
    assert holm([0.1, math.nan])[0] == 0.1


def test_rows_that_are_not_the_papers_formula_are_marked(ran):
    report = ran.comparison.to_dict()
    row = next(row for row in report["rows"] if row["kind"] == "random")
    (line,) = next(table for table in report_tables(report) if table.title == "Fidelity").lines
    assert line == ("densenet121 *", "changed formula", "Radenovic, Tolias, Chum, TPAMI 2019")  # it is GeM, see `ran`
    row.update(method="other", kind="encoder", registered="drh")
    tables = {table.title: table for table in report_tables(report)}
    assert ("other *", "abstract only", "Conjeti, Guha Roy, Katouzian, Navab, MICCAI 2017") in tables["Fidelity"].lines
    assert "other *" in {line[0] for line in tables["Figures"].lines}
    for kind, registered, objective, said in (
        ("hasher", "ssh", None, ("other *", "changed formula", "Wang, Kumar, Chang, PAMI 2012")),
        ("encoder", "dsh", "dpsh", ("other *", "another loss: dpsh", "Liu, Wang, Shan, Chen, CVPR 2016")),
        ("encoder", "dsh", None, None),
        ("hasher", "itq", None, None),
        ("untrained", "drh", None, None),
    ):
        row.update(kind=kind, registered=registered, costs={**row["costs"], "objective": objective})
        found = {table.title: table for table in report_tables(report)}
        lines = [line for line in found["Fidelity"].lines if line[0] == "other *"] if "Fidelity" in found else []
        assert lines == ([said] if said else []), (kind, registered)
        assert ("other *" in {line[0] for line in found["Figures"].lines}) == bool(said)
    for fidelity, marked in (("formula of the paper", []), ("changed formula", ["other *"]), (None, ["other *"])):
        row.update(kind="encoder", registered="rmac", costs={**row["costs"], "objective": None, "fidelity": fidelity})
        lines = [line for table in report_tables(report) if table.title == "Fidelity" for line in table.lines]
        assert [line[0] for line in lines if line[0] == "other *"] == marked, fidelity


def test_a_row_says_what_its_options_follow(ran):
    follows = {row["method"]: row["costs"]["fidelity"] for row in ran.comparison.to_dict()["rows"] if row["costs"]}
    assert follows["densenet121"] == "changed formula"  # it is GeM, see `ran`
    assert follows["random"] is None


def test_the_table_of_bits_has_a_line_for_every_method_that_has_some(ran):
    tables = {table.title: table for table in report_tables(ran.comparison.to_dict())}
    assert [line[:2] for line in tables["Bits"].lines] == [("lsh", "16"), ("random", "16")]
