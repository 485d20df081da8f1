"""Kernels of the map: links between communities, stress, discs pushed apart, averages over neighbours, medoids."""

from __future__ import annotations

import numpy as np

from graphret._numba import jit, prange

__all__ = [
    "_average",
    "_heaviest_inside",
    "_lower_stress",
    "_mark_overlaps",
    "_medoids",
    "_outward_pull",
    "_push_apart",
    "_sum_between",
]


@jit()
def _sum_between(indptr, indices, weights, labels, between):
    """Add the weight of every edge that leaves a community to ``between[its community, the other one]``."""
    n_from, n_to = between.shape
    for node in range(labels.shape[0]):
        here = labels[node]
        if here >= n_from:
            continue
        for place in range(indptr[node], indptr[node + 1]):
            there = labels[indices[place]]
            if there != here and there < n_to:
                between[here, there] += weights[place]


@jit()
def _lower_stress(wanted, positions, n_sweeps):
    """Move every point to the best place for the others as they are, in turn; returns the stress before the last sweep.

    The stress is ``sum (|x_i - x_j| / wanted_ij - 1)^2``, and a move the minimum of its majorant (Gansner et al. 2004).
    """
    n = positions.shape[0]
    stress = 0.0
    for _ in range(n_sweeps):
        stress = 0.0
        for i in range(n):
            x, y, total = 0.0, 0.0, 0.0
            for j in range(n):
                if i == j:
                    continue
                along = positions[i, 0] - positions[j, 0]
                across = positions[i, 1] - positions[j, 1]
                distance = np.sqrt(along * along + across * across)
                weight = 1.0 / (wanted[i, j] * wanted[i, j])
                reach = wanted[i, j] / max(distance, 1e-12)
                x += weight * (positions[j, 0] + reach * along)
                y += weight * (positions[j, 1] + reach * across)
                total += weight
                stress += weight * (distance - wanted[i, j]) ** 2
            if total > 0:
                positions[i, 0] = x / total
                positions[i, 1] = y / total
    return stress


@jit()
def _push_apart(order, centers, radii, strength):
    """Push overlapping discs apart, in the order of their left ends; returns how much the centres must be stretched.

    That is the largest ratio of the sum of two radii to the distance of their centres. ``strength`` 1 removes the
    overlap of a pair, 0 only measures.
    """
    n = order.shape[0]
    stretch = 0.0
    for first in range(n):
        i = order[first]
        end = centers[i, 0] + radii[i]
        for second in range(first + 1, n):
            j = order[second]
            if centers[j, 0] - radii[j] >= end:
                break
            along = centers[j, 0] - centers[i, 0]
            across = centers[j, 1] - centers[i, 1]
            reach = radii[i] + radii[j]
            squared = along * along + across * across
            if squared >= reach * reach:
                continue
            distance = np.sqrt(squared)
            if distance < 1e-9 * reach:  # two centres in one place: any direction does
                along, across, distance = 1e-9 * reach, 0.0, 1e-9 * reach
            stretch = max(stretch, reach / distance)
            mine, other = radii[i] * radii[i], radii[j] * radii[j]
            push = strength * (reach - distance) / distance
            share = other / (mine + other)
            centers[i, 0] -= share * push * along
            centers[i, 1] -= share * push * across
            centers[j, 0] += (1.0 - share) * push * along
            centers[j, 1] += (1.0 - share) * push * across
            end = centers[i, 0] + radii[i]
    return stretch


@jit()
def _mark_overlaps(order, centers, radii, slight, marked):
    """Mark the smaller (ties: later) of two discs whose radii sum to more than ``slight`` times their distance.

    A disc that is marked already marks no other one.
    """
    n = order.shape[0]
    for first in range(n):
        i = order[first]
        end = centers[i, 0] + radii[i]
        for second in range(first + 1, n):
            j = order[second]
            if centers[j, 0] - radii[j] >= end:
                break
            along = centers[j, 0] - centers[i, 0]
            across = centers[j, 1] - centers[i, 1]
            reach = (radii[i] + radii[j]) / slight
            if along * along + across * across < reach * reach and not (marked[i] or marked[j]):
                marked[max(i, j)] = True


@jit(parallel=True, writes=("neighbors", "shares"))
def _heaviest_inside(indptr, indices, weights, labels, neighbors, shares):
    """Find the heaviest edges of every node inside its community, ties by the smaller neighbour; -1 and 0 pad."""
    width = neighbors.shape[1]
    for node in prange(labels.shape[0]):
        here = labels[node]
        for column in range(width):
            neighbors[node, column] = -1
            shares[node, column] = 0.0
        for place in range(indptr[node], indptr[node + 1]):
            weight = np.float32(weights[place])
            if labels[indices[place]] != here or weight <= shares[node, width - 1]:
                continue
            column = width - 1
            while column > 0 and weight > shares[node, column - 1]:
                neighbors[node, column] = neighbors[node, column - 1]
                shares[node, column] = shares[node, column - 1]
                column -= 1
            neighbors[node, column] = indices[place]
            shares[node, column] = weight


@jit(parallel=True)
def _average(neighbors, shares, values, kept, out):
    """Mix ``kept`` of a node's own two values with the rest from the weighted mean of its neighbours."""
    width = neighbors.shape[1]
    for node in prange(values.shape[0]):
        x, y, total = 0.0, 0.0, 0.0
        for column in range(width):
            other = neighbors[node, column]
            if other < 0:
                break
            share = np.float64(shares[node, column])
            x += share * values[other, 0]
            y += share * values[other, 1]
            total += share
        if total > 0:
            out[node, 0] = kept * values[node, 0] + (1.0 - kept) * x / total
            out[node, 1] = kept * values[node, 1] + (1.0 - kept) * y / total
        else:
            out[node, 0] = values[node, 0]
            out[node, 1] = values[node, 1]


@jit(parallel=True)
def _outward_pull(indptr, indices, weights, labels, centers, out):
    """Sum, for every node, the directions to the other communities that it has edges to, by their weights."""
    for node in prange(labels.shape[0]):
        here = labels[node]
        x, y = 0.0, 0.0
        for place in range(indptr[node], indptr[node + 1]):
            there = labels[indices[place]]
            if there == here:
                continue
            along = centers[there, 0] - centers[here, 0]
            across = centers[there, 1] - centers[here, 1]
            weight = np.float64(weights[place]) / max(np.sqrt(along * along + across * across), 1e-12)
            x += weight * along
            y += weight * across
        out[node, 0] = x
        out[node, 1] = y


@jit(parallel=True, writes=("found",))
def _medoids(codes, order, ends, found):
    """Find the row of every group whose unit code has the largest product with the sum of those of the group."""
    d = codes.shape[1]
    for community in prange(ends.shape[0]):
        first = 0 if community == 0 else ends[community - 1]
        stop = ends[community]
        inverse = np.empty(stop - first)
        total = np.zeros(d)
        for place in range(first, stop):
            row = codes[order[place]]
            squares = 0.0
            for column in range(d):
                squares += np.float64(row[column]) * np.float64(row[column])
            inverse[place - first] = 1.0 / np.sqrt(squares)
            for column in range(d):
                total[column] += np.float64(row[column]) * inverse[place - first]
        best, highest = order[first], -np.inf
        for place in range(first, stop):
            row = codes[order[place]]
            similarity = 0.0
            for column in range(d):
                similarity += np.float64(row[column]) * total[column]
            mean = np.rint(1e6 * similarity * inverse[place - first] / (stop - first))
            if mean > highest:
                best, highest = order[place], mean
        found[community] = best
