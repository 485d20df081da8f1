"""The pages of README and docs as tests read them: code blocks with their markers, tables, prose."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"^(?:<!-- test: (?P<marker>[^\n]*?) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
MARKERS = re.compile(r"slow|parse only, .{8,}")
"""What may stand before a block: it takes minutes; or only its options are checked, and why."""


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    text: str
    marker: str

    @property
    def place(self):
        return f"{self.page}:{self.line}"


def named(path):
    return path.relative_to(ROOT).as_posix()


def blocks_of(path):
    text = path.read_text(encoding="utf-8")
    return [
        Block(
            named(path), text.count("\n", 0, found.start()) + 1, found["language"], found["text"], found["marker"] or ""
        )
        for found in BLOCK.finditer(text)
    ]


def tables_of(text):
    """Every table of a page: the lines before it (for a marker), and its rows as lists of cells, heads first."""
    lines, found, before = text.split("\n"), [], ""
    for number, line in enumerate(lines):
        if line.startswith("|"):
            if number and lines[number - 1].startswith("|"):
                found[-1][1].append(cells_of(line))
            else:
                found.append((before, [cells_of(line)]))
        elif line.strip():
            before = line
    return [(marker, [rows[0], *rows[2:]]) for marker, rows in found]


def cells_of(row):
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


def prose_of(text):
    """A page without its code, tables, comments and headings: paragraphs, each in one line."""
    text = BLOCK.sub("", text)
    text = re.sub(r"^(\||#|<!--|    |!\[).*$", "", text, flags=re.MULTILINE)
    return [" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n|\n(?=- |\d\. )", text) if paragraph.strip()]
