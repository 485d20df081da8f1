"""From films to codes, fast: pixels, sizes, folded networks, workers on a processor."""
