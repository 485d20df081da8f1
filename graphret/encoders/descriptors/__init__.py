"""Descriptors of films that are computed, not learnt: filters of one shape, and what becomes of their responses."""
