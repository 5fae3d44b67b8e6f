"""Floor 1: the box itself. Knows nothing of calls or customers."""
