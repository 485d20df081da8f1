"""Curves and pictures of an archive or a training, each with its numbers."""

from graphret.plotting.drawn import Plot
from graphret.plotting.kinds import list_plots, plot

__all__ = ["Plot", "list_plots", "plot"]
