"""From a film's bytes to its grey values: one file a format, called by `graphret.data.images` only."""
