"""An archive at a glance: what it holds, its communities, its map, how well it answers, near duplicates; one page."""

from graphret.overview.archive_report import ArchiveReport, report

__all__ = ["ArchiveReport", "report"]
