"""Running a network: films to its input, batches on every core, the folded form for processors."""
