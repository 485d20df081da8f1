"""Networks of the encoders, one file a model; only the modules inside import torch."""
