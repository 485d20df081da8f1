"""The newer losses of deep hashing once more, as loops over plain numbers, from the formulas of their papers."""

from __future__ import annotations

import math

from naive_hashing_losses import cosine, dot, known_rows, mean, relation, sign, triplets_of


def classes_of(film: list[int], healthy: bool) -> list[int]:
    """1 a member, 0 none, -1 not known; the last class is "no finding"."""
    if not healthy:
        return film
    if 1 in film:
        return [*film, 0]
    return [*film, -1 if -1 in film else 1]


def centroid(film, centers, tie, healthy):
    own = [center for center, member in zip(centers, classes_of(film, healthy), strict=True) if member == 1]
    if not own:
        return None
    sums = [sum(column) for column in zip(*own, strict=True)]
    return [t if s == 0 else math.copysign(1, s) for s, t in zip(sums, tie, strict=True)]


def csq(codes, labels, centers, tie, healthy, quantisation):
    center_terms, bit_terms = [], []
    for u, film in zip(codes, labels, strict=True):
        c = centroid(film, centers, tie, healthy)
        if c is None:
            continue
        for x, target in zip(u, c, strict=True):
            h, wanted = (math.tanh(x) + 1) / 2, (target + 1) / 2
            center_terms.append(-(wanted * math.log(h) + (1 - wanted) * math.log(1 - h)))
            bit_terms.append(math.log(math.cosh(abs(2 * h - 1) - 1)))
    return mean(center_terms) + quantisation * mean(bit_terms)


def softmax_loss(logits, members):
    """Equal shares of the classes of a film; classes that are not known are not there."""
    own = [c for c, member in enumerate(members) if member == 1]
    if not own:
        return None
    total = sum(math.exp(x) for x, member in zip(logits, members, strict=True) if member != -1)
    return sum(-math.log(math.exp(logits[c]) / total) for c in own) / len(own)


def orthohash(codes, labels, centers, healthy, scale, margin):
    terms = []
    for u, film in zip(codes, labels, strict=True):
        members = classes_of(film, healthy)
        logits = [scale * (cosine(u, o) - (margin if m == 1 else 0)) for o, m in zip(centers, members, strict=True)]
        terms.append(softmax_loss(logits, members))
    return mean(term for term in terms if term is not None)


def dpn(codes, labels, centers, healthy, margin):
    terms = []
    for u, film in zip(codes, labels, strict=True):
        own = [t for t, m in zip(centers, classes_of(film, healthy), strict=True) if m == 1]
        if own:
            terms.append(sum(max(0.0, margin - x * y) for t in own for x, y in zip(u, t, strict=True)))
    return mean(terms)


def greedyhash(codes, labels, weight, healthy, quantisation):
    rows = known_rows(labels)
    terms = []
    for row in rows:
        bits = [sign(x) for x in codes[row]]
        terms.append(softmax_loss([dot(w, bits) for w in weight], classes_of(labels[row], healthy)))
    penalty = mean(abs(abs(x) - 1) ** 3 for row in rows for x in codes[row])
    return mean(term for term in terms if term is not None) + quantisation * penalty


def dtsh(codes, labels, margin, quantisation):
    rows, terms = known_rows(labels), []
    for i, j, k in triplets_of(labels):
        t = dot(codes[i], codes[j]) / 2 - dot(codes[i], codes[k]) / 2 - margin * len(codes[0])
        terms.append(-(t - math.log(1 + math.exp(t))))
    return mean(terms) + quantisation * mean(sum((sign(x) - x) ** 2 for x in codes[row]) for row in rows)


def dfh_centers(relaxed, members, bits, apart, binary):
    """Descent on the three means, each derivative written out for one number at a time."""
    n_bits, n_classes, rate = len(relaxed), len(relaxed[0]), 0.03
    v = [list(row) for row in relaxed]
    for step in range(200):
        rate = rate / 10 if step in {148, 178} else rate
        products = [[sum(v[k][c] * v[k][d] for k in range(n_bits)) for d in range(n_classes)] for c in range(n_classes)]
        slope = [[0.0] * n_classes for _ in range(n_bits)]
        for k in range(n_bits):
            misses = [sum(v[k][c] * y[c] for c in range(n_classes)) - b[k] for y, b in zip(members, bits, strict=True)]
            for c in range(n_classes):
                intra = sum(2 * miss * y[c] for miss, y in zip(misses, members, strict=True)) / (n_bits * len(bits))
                inter = sum(4 * (products[c][d] - n_bits * (1 if c == d else -1)) * v[k][d] for d in range(n_classes))
                side = (v[k][c] > 0) - (v[k][c] < 0)
                to_sign = 2 * (v[k][c] - side) / (n_bits * n_classes)
                slope[k][c] = intra + apart * inter / n_classes**2 + binary * to_sign
        v = [[v[k][c] - rate * slope[k][c] for c in range(n_classes)] for k in range(n_bits)]
    return v


def dfh_bits(codes, members, relaxed, pull):
    found = []
    for u, y in zip(codes, members, strict=True):
        pulls = [sum(((x > 0) - (x < 0)) * m for x, m in zip(row, y, strict=True)) for row in relaxed]
        found.append([sign(x + pull * p) for x, p in zip(u, pulls, strict=True)])
    return found


def dfh(codes, labels, places, seen, training_labels, bits, margin, quantisation):
    """``seen``: code of every training film that was in a batch, by place; ``bits`` as of before this step."""
    terms = []
    for i in range(len(codes)):
        for place, other in seen.items():
            kind = relation(labels[i], training_labels[place])
            if place == places[i] or kind == "open":
                continue
            theta = dot(codes[i], other) / 2
            terms.append(math.log(1 + math.exp(margin - theta if kind == "similar" else margin + theta)))
    return mean(terms) + quantisation * mean(
        (b - x) ** 2 for row, own in zip(codes, bits, strict=True) for x, b in zip(row, own, strict=True)
    )


def cosine_difference(bits, features):
    half = len(bits) // 2
    return mean((cosine(bits[i], bits[half + i]) - cosine(features[i], features[half + i])) ** 2 for i in range(half))


def greedyhash_unsupervised(codes, features, quantisation):
    bits = [[sign(x) for x in row] for row in codes]
    return cosine_difference(bits, features) + quantisation * mean(abs(abs(x) - 1) ** 3 for row in codes for x in row)


def half_bits(codes):
    bits = [[-1.0] * len(codes[0]) for _ in codes]
    for k in range(len(codes[0])):
        order = sorted(range(len(codes)), key=lambda i: -codes[i][k])
        for i in order[: len(codes) // 2]:
            bits[i][k] = 1.0
    return bits


def bihalf(codes, features):
    return cosine_difference(half_bits(codes), features)


def cibhash(codes, temperature, weight):
    n, half = len(codes), len(codes) // 2
    bits = [[1.0 if 1 / (1 + math.exp(-x)) >= 0.5 else -1.0 for x in row] for row in codes]
    contrast = []
    for i in range(n):
        twin = (i + half) % n
        scores = {j: math.exp(cosine(bits[i], bits[j]) / temperature) for j in range(n) if j != i}
        contrast.append(-math.log(scores[twin] / sum(scores.values())))

    def divergence(u, other):
        total = 0.0
        for x, y in zip(u, other, strict=True):
            p, q = 1 / (1 + math.exp(-x)), 1 / (1 + math.exp(-y))
            total += p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
        return total

    kl = mean((divergence(codes[i], codes[half + i]) + divergence(codes[half + i], codes[i])) / 2 for i in range(half))
    return mean(contrast) + weight * kl
