"""The networks: backbones, pooled encoders, and the hashing systems."""
