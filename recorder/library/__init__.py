"""The later life of a recording."""
