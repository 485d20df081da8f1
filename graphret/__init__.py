"""graphret finds, for a query X-ray, the most similar films of a hospital-size archive."""

__version__ = "0.1.0"
