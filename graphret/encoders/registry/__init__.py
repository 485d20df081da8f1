"""Which encoders there are, and what each promises. Importing this package does not import torch."""
