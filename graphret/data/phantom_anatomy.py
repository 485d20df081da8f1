"""The thorax of a generated film: a map of how much every point absorbs, and where lungs and heart lie.

Coordinates: u to the right of the picture, v downwards, both about -1..1; the picture's right is the patient's left.
All parts are made of clipped linear ramps, polynomials and smoothed noise: no film costs more than a few hundred
microseconds a part at 64 px.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Anatomy", "FloatArray", "Thorax", "blob", "noise", "patient_anatomy", "ramp", "thorax"]

FloatArray: TypeAlias = NDArray[np.floating[Any]]


@dataclass
class Anatomy:
    """What the films of one patient share, and what findings then change."""

    width: float  # of the lungs
    apex: float  # v of the lungs' upper ends
    diaphragm: float  # v of the diaphragms' edges
    dome: float  # how far the diaphragms rise in their middle
    heart: float  # half-width of the heart
    mediastinum: float  # half-width
    rib_spacing: float
    rib_slope: float
    ribs: float  # how bright
    vessels: float  # how bright
    tissue: float  # thickness of what lies over the lungs
    breasts: float
    texture: int  # seed of the vessels' pattern
    air: float = 0.0  # how much darker than usual the lungs are
    shift: float = 0.0  # of the mediastinum
    raised: tuple[float, float] = (0.0, 0.0)  # diaphragms, left and right in the picture


@dataclass
class Thorax:
    """Maps float32 (h, w) of one film; ``density`` is what findings add to."""

    u: FloatArray
    v: FloatArray
    density: FloatArray
    lungs: tuple[FloatArray, FloatArray]  # 0..1, left and right in the picture
    depth: tuple[FloatArray, FloatArray]  # 0 at the lung's centre, 1 at its outer wall
    floor: tuple[FloatArray, FloatArray]  # v of the diaphragm
    heart: FloatArray
    vessels: FloatArray


def ramp(values: FloatArray, width: float) -> FloatArray:
    """Return 0 below -width/2, 1 above width/2, linear between."""
    clipped: FloatArray = np.clip(values * (1.0 / width) + 0.5, 0.0, 1.0)
    return clipped


def blob(thorax_u: FloatArray, thorax_v: FloatArray, u: float, v: float, ru: float, rv: float) -> FloatArray:
    """Bell of height 1 at (u, v) that reaches 0 at the radii: (1 - r^2)^2."""
    squares = ((thorax_u - u) / ru) ** 2 + ((thorax_v - v) / rv) ** 2
    return np.maximum(1.0 - squares, 0.0) ** 2


def noise(rng: np.random.Generator, size: int, cells: int) -> FloatArray:
    """Smooth noise (size, size), standard deviation about 1, with about ``cells`` features a side."""
    matrix = _spline(size, cells)
    grid = rng.standard_normal((cells + 3, cells + 3), dtype=np.float32)
    return (matrix @ grid @ matrix.T) * 1.9


@functools.lru_cache(maxsize=64)
def _spline(size: int, cells: int) -> FloatArray:
    """Cubic B-spline weights that carry ``cells + 3`` values to ``size`` points."""
    place = (np.arange(size) + 0.5) / size * cells
    start = np.floor(place).astype(np.int64)
    t = place - start
    matrix = np.zeros((size, cells + 3), dtype=np.float32)
    weights = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    for offset, weight in enumerate(weights):
        matrix[np.arange(size), start + offset] = weight / 6
    return matrix


def patient_anatomy(seed: int, patient: int) -> Anatomy:
    """Draw the body of one patient; a function of (seed, patient)."""
    rng = np.random.default_rng([seed, 1, patient])
    deviate = rng.standard_normal(9).tolist()  # Python floats leave the maps float32
    return Anatomy(
        width=0.74 + 0.05 * deviate[0],
        apex=-0.74 + 0.04 * deviate[1],
        diaphragm=0.56 + 0.07 * deviate[2],
        dome=0.16 + 0.03 * deviate[3],
        heart=0.29 + 0.03 * deviate[4],
        mediastinum=0.13 + 0.02 * deviate[5],
        rib_spacing=0.19 + 0.02 * deviate[6],
        rib_slope=0.28 + 0.08 * deviate[7],
        ribs=float(rng.uniform(0.05, 0.14)),
        vessels=float(rng.uniform(0.05, 0.12)),
        tissue=0.22 + 0.05 * deviate[8],
        breasts=float(rng.uniform(0.05, 0.2)) if rng.random() < 0.4 else 0.0,
        texture=int(rng.integers(2**31)),
    )


def thorax(anatomy: Anatomy, u: FloatArray, v: FloatArray) -> Thorax:
    """Build the maps of one film from its anatomy on the coordinates ``u``, ``v`` (h, w), h = w."""
    a, size = anatomy, u.shape[0]
    middle_u = u - a.shift
    lungs, depths, floors = [], [], []
    for side, lift in zip((-1.0, 1.0), a.raised, strict=True):
        w = middle_u * side  # distance from the middle, towards this side
        across = (w - (0.42 * a.width)) / (0.6 * a.width)
        along = (v - 0.12) / (0.12 - a.apex)
        depth = np.sqrt(across**2 + np.where(along < 0, along**2, 0.25 * along**2))
        floor = (a.diaphragm - lift - (0.03 if side < 0 else 0.0)) - a.dome * np.maximum(1.0 - (1.6 * across) ** 2, 0.0)
        inner = w - a.mediastinum
        lungs.append(ramp(1.0 - depth, 0.12) * ramp(floor - v, 0.05) * ramp(inner, 0.08))
        depths.append(depth)
        floors.append(floor)
    # The heart lies to the patient's left, the picture's right, and rests on the diaphragm.
    bottom = a.diaphragm - 0.5 * a.dome
    heart = ramp(
        1.0 - ((middle_u - (0.32 * a.heart)) / a.heart) ** 2 - ((v - (bottom - 0.22)) / 0.3) ** 2,
        0.35,
    )
    pattern = np.random.default_rng(a.texture)
    reach = np.maximum(1.0 - ((np.abs(middle_u) - 0.2) ** 2 + (0.8 * v) ** 2) * 1.5, 0.15)
    vessels = (np.abs(noise(pattern, size, 9)) + np.abs(noise(pattern, size, 18)) - 1.2) * reach
    both = np.maximum(lungs[0], lungs[1])
    body = ramp(
        1.0 - (np.abs(u) / (a.width + 0.24)) ** 4 - 0.35 * np.maximum(-v - 0.55, 0.0) * 4 * u**2,
        0.2,
    )
    phase = (v + a.rib_slope * u**2 - 0.1 * np.abs(u)) / a.rib_spacing
    cage = ramp(a.width + 0.04 - np.abs(u), 0.1) * ramp(a.diaphragm - v, 0.3)
    ribs = np.maximum(1.0 - 9.0 * (phase - np.rint(phase)) ** 2, 0.0) * cage
    clavicles = blob(np.zeros_like(u), v + 0.62 - 0.25 * np.abs(u), 0.0, 0.0, 1.0, 0.06) * ramp(0.7 - np.abs(u), 0.1)
    breasts = blob(np.abs(u), v, 0.45, 0.35, 0.33, 0.3)
    density = (
        body * (0.62 + a.tissue)
        - both * (0.5 + a.air)
        + ramp((1.3 * a.mediastinum) - np.abs(middle_u), 0.12) * 0.2
        + heart * 0.3
        + ribs * a.ribs
        + clavicles * 0.1
        + breasts * a.breasts
        + both * vessels * a.vessels
    )
    return Thorax(u, v, density, (lungs[0], lungs[1]), (depths[0], depths[1]), (floors[0], floors[1]), heart, vessels)
