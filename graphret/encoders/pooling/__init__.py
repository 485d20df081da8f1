"""Aggregation of convolutional maps into one vector, one file a method; only the modules inside import torch."""
