"""The losses of deep hashing once more, as loops over plain numbers; the tests compare the fast ones with these."""

from __future__ import annotations

import math
from itertools import permutations


def relation(a: list[int], b: list[int]) -> str:
    """Say "similar", "dissimilar" or "open"."""
    if any(x == y == 1 for x, y in zip(a, b, strict=True)) or all(x == 0 for x in (*a, *b)):
        return "similar"
    if any(x != 0 and y != 0 for x, y in zip(a, b, strict=True)) or all(x != 1 for x in (*a, *b)):
        return "open"
    return "dissimilar"


def shared(a: list[int], b: list[int]) -> int:
    if all(x == 0 for x in (*a, *b)):
        return 1
    return sum(x == y == 1 for x, y in zip(a, b, strict=True))


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def distance(a, b):
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))


def sign(x):
    return -1.0 if x < 0 else 1.0


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else 0.0


def softplus(x):
    return math.log1p(math.exp(x))


def tanh(codes, slope=1.0):
    return [[math.tanh(slope * x) for x in row] for row in codes]


def pairs_of(labels):
    n = len(labels)
    found = [(i, j, relation(labels[i], labels[j])) for i in range(n) for j in range(i + 1, n)]
    return [pair for pair in found if pair[2] != "open"]


def triplets_of(labels):
    for i, j, k in permutations(range(len(labels)), 3):
        if relation(labels[i], labels[j]) == "similar" and relation(labels[i], labels[k]) == "dissimilar":
            yield i, j, k


def known_rows(labels):
    return [row for row, film in enumerate(labels) if any(value >= 0 for value in film)]


def dsh(codes, labels, alpha, margin):
    m = margin * len(codes[0])
    terms = []
    for i, j, kind in pairs_of(labels):
        d = distance(codes[i], codes[j])
        quantisation = sum(abs(abs(x) - 1) for x in (*codes[i], *codes[j]))
        terms.append((d if kind == "similar" else max(m - d, 0)) / 2 + alpha * quantisation)
    return mean(terms)


def dpsh(codes, labels, places, seen, training_labels, eta):
    """``seen``: code of every training film that was in a batch, by place; the batch's own are among them."""
    total, count = 0.0, 0
    for i in range(len(codes)):
        for place, other in seen.items():
            kind = relation(labels[i], training_labels[place])
            if place == places[i] or kind == "open":
                continue
            theta = dot(codes[i], other) / 2
            total += softplus(theta) - (theta if kind == "similar" else 0.0)
            count += 1
    quantisation = sum((sign(x) - x) ** 2 for row in codes for x in row)
    return (total + eta * quantisation) / max(count, 1)


def hashnet(codes, labels, alpha, beta):
    g = tanh(codes, beta)
    pairs = pairs_of(labels)
    n_similar = sum(kind == "similar" for _, _, kind in pairs)
    total = 0.0
    for i, j, kind in pairs:
        theta = alpha / len(g[0]) * dot(g[i], g[j])
        if kind == "similar":
            either = sum(x == 1 or y == 1 for x, y in zip(labels[i], labels[j], strict=True))
            common = sum(x == y == 1 for x, y in zip(labels[i], labels[j], strict=True))
            weight = (common / either if either else 1.0) * len(pairs) / n_similar
            total += weight * (softplus(theta) - theta)
        else:
            total += len(pairs) / (len(pairs) - n_similar) * softplus(theta)
    return total / max(len(pairs), 1)


def orthogonality(weight):
    n = len(weight)
    return mean((dot(weight[i], weight[j]) - (i == j)) ** 2 for i in range(n) for j in range(n))


def drh(codes, labels, weight, quantisation, balance, orthogonal):
    h = tanh(codes)
    misses = []
    for i in range(len(h)):
        others = [j for j in range(len(h)) if j != i and relation(labels[i], labels[j]) != "open"]
        near = [j for j in others if relation(labels[i], labels[j]) == "similar"]
        if near:
            scores = {j: math.exp(-distance(h[i], h[j])) for j in others}
            misses.append(1 - sum(scores[j] for j in near) / sum(scores.values()))
    rows = known_rows(labels)
    j_q = mean((abs(h[i][bit]) - 1) ** 2 for i in rows for bit in range(len(h[0])))
    j_b = mean(mean(h[i][bit] for i in rows) ** 2 for bit in range(len(h[0])))
    return mean(misses) + quantisation * j_q + balance * j_b + orthogonal * orthogonality(weight)


def dh(codes, labels, balance, scatter, independence):
    h = tanh(codes)
    rows, bits = known_rows(labels), range(len(h[0]))
    within = mean(distance(h[i], h[j]) / len(bits) for i, j, kind in pairs_of(labels) if kind == "similar")
    between = mean(distance(h[i], h[j]) / len(bits) for i, j, kind in pairs_of(labels) if kind == "dissimilar")
    quantisation = mean((sign(x) - x) ** 2 for i in rows for x in h[i])
    means = [mean(h[i][bit] for i in rows) for bit in bits]

    def covariance(one, other):
        return mean((h[i][one] - means[one]) * (h[i][other] - means[other]) for i in rows)

    variance = mean(covariance(bit, bit) for bit in bits)
    dependence = mean((covariance(one, other) - (one == other)) ** 2 for one in bits for other in bits)
    return (quantisation - balance * (variance + scatter * (between - within)) + independence * dependence) / 2


def dnnh(codes, labels, margin, epsilon):
    def threshold(x):
        value = 1 / (1 + math.exp(-x))
        return 0.0 if value < 0.5 - epsilon else 1.0 if value > 0.5 + epsilon else value

    f = [[threshold(x) for x in row] for row in codes]
    return mean(max(0.0, distance(f[i], f[j]) - distance(f[i], f[k]) + margin) for i, j, k in triplets_of(labels))


def cross_entropy(logits, labels, training_labels):
    total = 0.0
    for j in range(len(labels[0])):
        n_positive = sum(film[j] == 1 for film in training_labels)
        n_negative = sum(film[j] == 0 for film in training_labels)
        for i in range(len(labels)):
            if labels[i][j] == 1:
                total += n_negative / (n_positive + n_negative) * softplus(-logits[i][j])
            elif labels[i][j] == 0:
                total += n_positive / (n_positive + n_negative) * softplus(logits[i][j])
    return total / len(known_rows(labels))


def ath(codes, labels, logits, training_labels, margin, classification):
    m = margin * len(codes[0])
    ranking = mean(
        max(0.0, m - distance(codes[i], codes[k]) + distance(codes[i], codes[j])) for i, j, k in triplets_of(labels)
    )
    return ranking + classification * cross_entropy(logits, labels, training_labels)


def osdh(codes, labels, logits, training_labels, rho, classification):
    h = tanh(codes)

    def hamming(i, j):
        return (len(h[0]) - dot(h[i], h[j])) / 2

    by_film = []
    for q in range(len(h)):
        others = [i for i in range(len(h)) if i != q and relation(labels[q], labels[i]) != "open"]
        weighted, z = 0.0, 0.0
        for i in others:
            for j in others:
                r_i, r_j = shared(labels[q], labels[i]), shared(labels[q], labels[j])
                if r_i > r_j:
                    z += 2**r_i - 2**r_j
                    weighted += (2**r_i - 2**r_j) * max(0.0, hamming(q, i) - hamming(q, j) + rho)
        if z:
            by_film.append(weighted / z)
    return mean(by_film) + classification * cross_entropy(logits, labels, training_labels)


def cosine(a, b):
    return dot(a, b) / math.sqrt(dot(a, a) * dot(b, b))


def ddmh(codes, labels, places, queue, scale, alpha, quantisation):
    """``queue``: (code, labels, place) of films before the batch."""
    films = [*zip(codes, labels, places, strict=True), *queue]
    terms = []
    for i in range(len(codes)):
        for code_j, labels_j, place_j in films:
            for code_k, labels_k, place_k in films:
                if place_j == places[i] or place_k == places[i]:
                    continue
                if relation(labels[i], labels_j) == "similar" and relation(labels[i], labels_k) == "dissimilar":
                    difference = cosine(codes[i], code_j) - cosine(codes[i], code_k)
                    terms.append(softplus(alpha - scale / 2 * difference))
    bits = mean(1 - cosine(codes[i], [sign(x) for x in codes[i]]) for i in known_rows(labels))
    return mean(terms) + quantisation * bits


def cnnh(codes, labels, logits, training_labels, wanted, classification):
    rows = [i for i in known_rows(labels) if any(wanted[i])]
    squares = mean((math.tanh(x) - w) ** 2 for i in rows for x, w in zip(codes[i], wanted[i], strict=True))
    return squares + classification * cross_entropy(logits, labels, training_labels)
