"""The encoders by name, and what each of them is."""
