"""P1 Algorithm 2 as SPEC 1.4 reads it, from the definitions: sets of nodes, exact fractions, nothing kept between steps.

Weights and cosines are integers in units of 1 / ``unit``, so that sums, gains and ties are exact.
"""

from fractions import Fraction

QUERY = "query"


class Network:
    """Undirected edges ``{frozenset(ends): integer weight}``."""

    def __init__(self, edges, unit):
        self.edges = edges
        self.unit = unit

    def inside(self, nodes):
        """Weight of the edges with both ends among the nodes, each counted once: l."""
        return Fraction(sum(weight for ends, weight in self.edges.items() if ends <= nodes), self.unit)

    def degree(self, node):
        return Fraction(sum(weight for ends, weight in self.edges.items() if node in ends), self.unit)

    def induced(self, nodes):
        return Network({ends: weight for ends, weight in self.edges.items() if ends <= nodes}, self.unit)


def term(inside, degree, size, total):
    """f = lambda q with the finer zeta (Eq. 4-6)."""
    strength = 1 + (2 * inside / (size * (size - 1)) if size >= 2 else 0)
    return strength * (inside / total - (degree / (2 * total)) ** 2)


def literal_region_growing(edges, labels, query_edges, k, *, unit, eligible=None):
    """Ids in order of addition and their gains; ``query_edges`` is ``{id: integer cosine}``, all ids eligible."""
    n_nodes = len(labels)
    eligible = set(range(n_nodes)) if eligible is None else set(eligible)
    stored = Network(edges, unit)
    whole = Network({**edges, **{frozenset([QUERY, node]): weight for node, weight in query_edges.items()}}, unit)
    everything = frozenset([QUERY, *range(n_nodes)])
    total = whole.inside(everything)
    if total == 0:
        return [], []
    communities = {label: frozenset(i for i in range(n_nodes) if labels[i] == label) for label in set(labels)}
    unused = set(communities)
    region, added, gains = frozenset([QUERY]), [], []

    def stored_degree(nodes):
        return sum((whole.degree(v) if v == QUERY else stored.degree(v) for v in nodes), Fraction(0))

    def closeness(nodes):
        return max((query_edges.get(v, -unit) for v in nodes), default=-unit)

    while len(added) < k and unused:
        merged = {}
        for label in unused:
            members = communities[label]
            l_region, l_members = whole.inside(region), stored.inside(members)
            between = whole.inside(region | members) - l_region - l_members
            d_region, d_members = stored_degree(region), stored_degree(members)
            merged[label] = (
                term(l_region + l_members + between, d_region + d_members, len(region) + len(members), total)
                - term(l_region, d_region, len(region), total)
                - term(l_members, d_members, len(members), total)
            )
        best = max(merged.values())
        if best <= 0:
            break
        chosen = min((c for c in unused if merged[c] == best), key=lambda c: (-closeness(communities[c]), c))
        unused.remove(chosen)
        subgraph = whole.induced(region | communities[chosen])
        size = subgraph.inside(everything)
        if size == 0:
            continue
        while len(added) < k:
            joined = {}
            l_region = subgraph.inside(region)
            d_region = sum((subgraph.degree(v) for v in region), Fraction(0))
            for j in (communities[chosen] & eligible) - region:
                d_j = subgraph.degree(j)
                joined[j] = (
                    term(subgraph.inside(region | {j}), d_region + d_j, len(region) + 1, size)
                    - term(l_region, d_region, len(region), size)
                    - term(Fraction(0), d_j, 1, size)
                )
            if not joined or max(joined.values()) <= 0:
                break
            best = max(joined.values())
            node = min((j for j in joined if joined[j] == best), key=lambda j: (-query_edges.get(j, -unit), j))
            region |= {node}
            added.append(node)
            gains.append(float(best))
    return added, gains
