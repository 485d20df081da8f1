"""The 13 signs of a generated film. Each draws where it sits and how strong it is, and says which pixels it changed.

A sign comes in two parts: some findings first change the body (a wide heart, flat diaphragms, a lost volume), then
all of them add to the map of absorption. ``strength`` is in [0, 1]; near 0 a sign is hardly visible, as many real ones
are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from graphret.data.phantom_anatomy import Anatomy, FloatArray, Thorax, blob, noise, ramp

if TYPE_CHECKING:
    from graphret._types import BoolArray

__all__ = ["Finding", "add_findings", "change_body"]

_VISIBLE = 0.02  # a pixel belongs to a sign when the sign moves its absorption by more than this


@dataclass
class Finding:
    """One finding of one film: how strong, on which side (0 left, 1 right in the picture), and its own random draws."""

    strength: float
    side: int
    rng: np.random.Generator

    def place(self, chest: Thorax, low: float, high: float) -> tuple[float, float]:
        """Draw a point well inside the lung of this side, ``low``..``high`` of the way down it."""
        lung = chest.lungs[self.side]
        rows, columns = np.nonzero(lung > 0.9)
        if rows.size == 0:
            return (-0.35, 0.35)[self.side], 0.0
        inside = np.flatnonzero((rows >= np.quantile(rows, low)) & (rows <= np.quantile(rows, high)))
        at = inside[int(self.rng.integers(inside.size))]
        return float(chest.u[rows[at], columns[at]]), float(chest.v[rows[at], columns[at]])


Sign: TypeAlias = Callable[[Finding, Thorax], FloatArray]


def change_body(name: str, finding: Finding, anatomy: Anatomy) -> None:
    """Apply what a finding does to the shape of the body."""
    s = finding.strength
    if name == "Cardiomegaly":
        anatomy.heart *= 1.2 + 0.45 * s
    elif name == "Emphysema":
        anatomy.dome *= 0.8 - 0.6 * s
        anatomy.diaphragm += 0.02 + 0.08 * s
        anatomy.air += 0.02 + 0.07 * s
        anatomy.vessels *= 0.9 - 0.5 * s
        anatomy.heart *= 0.95 - 0.1 * s
    elif name == "Atelectasis":
        lift = 0.03 + 0.12 * s
        anatomy.raised = (
            anatomy.raised[0] + lift * (finding.side == 0),
            anatomy.raised[1] + lift * (finding.side == 1),
        )
        anatomy.shift += (0.01 + 0.03 * s) * (1 if finding.side else -1)
    elif name == "Pneumothorax":
        anatomy.shift -= 0.02 * s * (1 if finding.side else -1)


def add_findings(findings: dict[str, Finding], chest: Thorax) -> dict[str, BoolArray]:
    """Add every finding's sign to ``chest.density``; return the pixels of each, bool (h, w)."""
    masks = {}
    for name, finding in findings.items():
        change = _SIGNS[name](finding, chest)
        chest.density += change
        extent = _EXTENT[name](finding, chest) if name in _EXTENT else np.abs(change)
        mask = extent > _VISIBLE
        if not mask.any():  # the faintest signs still have a place
            mask = extent >= max(float(extent.max()) * 0.5, 1e-6)
        masks[name] = mask
    return masks


def _cardiomegaly(finding: Finding, chest: Thorax) -> FloatArray:
    return chest.heart * (0.02 + 0.05 * finding.strength)


def _effusion(finding: Finding, chest: Thorax) -> FloatArray:
    change = np.zeros_like(chest.density)
    sides = (0, 1) if finding.rng.random() < 0.35 else (finding.side,)
    for side in sides:
        height = 0.02 + (0.05 + 0.28 * finding.strength) * finding.rng.uniform(0.5, 1.0)
        # The meniscus climbs towards the wall: the level falls with the depth from it.
        wall = np.maximum(chest.depth[side], 0.0)
        level = chest.floor[side] - (height * 0.35) - height * np.clip(wall, 0.0, 1.1) ** 3
        change += ramp(chest.v - level, 0.06) * chest.lungs[side] * (0.12 + 0.22 * finding.strength)
    return change


def _pneumothorax(finding: Finding, chest: Thorax) -> FloatArray:
    lung, depth = chest.lungs[finding.side], chest.depth[finding.side]
    edge = 0.82 - 0.28 * finding.strength + 0.15 * np.clip(chest.v - 0.2, 0.0, 1.0)
    band = ramp(depth - edge, 0.05) * lung
    line = np.maximum(1.0 - ((depth - edge) / 0.045) ** 2, 0.0) * lung
    change: FloatArray = line * (0.08 + 0.1 * finding.strength) - band * (0.07 + 0.14 * finding.strength)
    return change - band * chest.vessels * 0.08


def _nodule(finding: Finding, chest: Thorax) -> FloatArray:
    change = np.zeros_like(chest.density)
    for _ in range(1 + int(finding.rng.integers(4) * finding.strength)):
        u, v = finding.place(chest, 0.05, 0.95)
        radius = finding.rng.uniform(0.085, 0.125)
        change = np.maximum(change, blob(chest.u, chest.v, u, v, radius, radius))
    return change * (0.38 + 0.4 * finding.strength)


def _mass(finding: Finding, chest: Thorax) -> FloatArray:
    u, v = finding.place(chest, 0.1, 0.9)
    radius = finding.rng.uniform(0.15, 0.21) + 0.06 * finding.strength
    squares = ((chest.u - u) ** 2 + (chest.v - v) ** 2) / radius**2
    lobes = 0.25 * noise(finding.rng, chest.u.shape[0], 8)
    return ramp(1.0 - squares + lobes * (squares < 2), 0.5) * (squares < 2) * (0.26 + 0.3 * finding.strength)


def _emphysema(finding: Finding, chest: Thorax) -> FloatArray:
    # Bullae: dark holes in the upper lungs, beside the flat diaphragms and dark lungs of change_body.
    change = np.zeros_like(chest.density)
    for _ in range(3):
        u, v = finding.place(chest, 0.0, 0.6)
        change -= blob(chest.u, chest.v, u, v, 0.16, 0.18)
        finding.side = 1 - finding.side
    lungs = np.maximum(*chest.lungs)
    return np.maximum(change, -1.0) * lungs * (0.03 + 0.07 * finding.strength)


def _edema(finding: Finding, chest: Thorax) -> FloatArray:
    haze = blob(np.abs(chest.u), chest.v, 0.25, 0.0, 0.42, 0.5)
    lungs = np.maximum(*chest.lungs)
    lines = np.abs(chest.vessels) * (0.04 + 0.1 * finding.strength)
    return lungs * haze * ((0.1 + 0.22 * finding.strength) + lines)


def _fibrosis(finding: Finding, chest: Thorax) -> FloatArray:
    zone = blob(chest.u, chest.v, (-0.42, 0.42)[finding.side], finding.rng.uniform(0.0, 0.3), 0.5, 0.5)
    zone = np.maximum(zone, blob(np.abs(chest.u), chest.v, 0.45, 0.3, 0.45, 0.4))
    pitch = 2 * math.pi / finding.rng.uniform(0.24, 0.32)
    angle = finding.rng.uniform(0.5, 1.1)
    one = np.sin(pitch * (chest.u * math.cos(angle) + chest.v * math.sin(angle)) + finding.rng.uniform(0, 6))
    two = np.sin(pitch * (chest.u * math.cos(angle) - chest.v * math.sin(angle)) + finding.rng.uniform(0, 6))
    net = np.maximum(np.abs(one), np.abs(two)) ** 4 - 0.4
    return zone * net * np.maximum(*chest.lungs) * (0.26 + 0.28 * finding.strength)


def _pleural_thickening(finding: Finding, chest: Thorax) -> FloatArray:
    lung, depth = chest.lungs[finding.side], chest.depth[finding.side]
    thickness = 0.17 + 0.13 * finding.strength
    start = finding.rng.uniform(-0.8, -0.2)
    extent = ramp(chest.v - start, 0.1) * ramp(start + 0.8 + 0.5 * finding.strength - chest.v, 0.1)
    rim = ramp(depth - (0.96 - thickness), 0.05) * lung * (np.abs(chest.u) > 0.25)
    return rim * extent * (0.34 + 0.26 * finding.strength)


def _consolidation(finding: Finding, chest: Thorax) -> FloatArray:
    lung = chest.lungs[finding.side]
    fissure = finding.rng.uniform(-0.2, 0.1) + 0.25 * (np.abs(chest.u) - 0.4)
    part = ramp(chest.v - fissure, 0.05) if finding.rng.random() < 0.5 else ramp(fissure - chest.v, 0.05)
    far = fissure + (0.5 if part[-1].mean() > 0.5 else -0.5)
    part = part * np.clip(np.abs(chest.v - far) * 3.0, 0.3, 1.0)
    return lung * part * (0.13 + 0.2 * finding.strength)


def _infiltration(finding: Finding, chest: Thorax) -> FloatArray:
    u, v = finding.place(chest, 0.2, 0.8)
    zone = blob(chest.u, chest.v, u, v, 0.6, 0.6) + 0.5 * blob(chest.u, chest.v, -u, v, 0.5, 0.5)
    patches = np.maximum(noise(finding.rng, chest.u.shape[0], 13), 0.0)
    return np.maximum(*chest.lungs) * zone * patches * (0.18 + 0.26 * finding.strength)


def _pneumonia(finding: Finding, chest: Thorax) -> FloatArray:
    u, v = finding.place(chest, 0.5, 0.95)
    zone = blob(chest.u, chest.v, u, v, finding.rng.uniform(0.3, 0.42), finding.rng.uniform(0.25, 0.38))
    mottle = 1.0 + 0.45 * noise(finding.rng, chest.u.shape[0], 16)
    change: FloatArray = chest.lungs[finding.side] * zone * np.maximum(mottle, 0.0)
    return change * (0.22 + 0.25 * finding.strength)


def _atelectasis(finding: Finding, chest: Thorax) -> FloatArray:
    lung = chest.lungs[finding.side]
    change = np.zeros_like(chest.density)
    for _ in range(1 + int(finding.rng.random() < 0.5)):
        height = finding.rng.uniform(0.08, 0.28)
        slope = finding.rng.uniform(-0.35, 0.35)
        line = chest.floor[finding.side] - height - slope * (np.abs(chest.u) - 0.4)
        change = np.maximum(change, np.maximum(1.0 - ((chest.v - line) / 0.05) ** 2, 0.0))
    return change * lung * (0.12 + 0.2 * finding.strength)


_SIGNS: dict[str, Sign] = {
    "Atelectasis": _atelectasis,
    "Cardiomegaly": _cardiomegaly,
    "Consolidation": _consolidation,
    "Edema": _edema,
    "Pneumonia": _pneumonia,
    "Pneumothorax": _pneumothorax,
    "Effusion": _effusion,
    "Infiltration": _infiltration,
    "Emphysema": _emphysema,
    "Pleural_Thickening": _pleural_thickening,
    "Fibrosis": _fibrosis,
    "Nodule": _nodule,
    "Mass": _mass,
}

# Where a finding changes the shape of the body, its place is that organ and not only what was added to it.
_EXTENT: dict[str, Sign] = {
    "Cardiomegaly": lambda _, chest: chest.heart * 0.04,
    "Emphysema": lambda _, chest: np.maximum(*chest.lungs) * 0.04,
}
