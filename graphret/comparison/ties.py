"""What measures of a Hamming ranking are worth when films at one distance come in random order."""


def expected_under_ties(made, films, excluded, measures):
    return None
