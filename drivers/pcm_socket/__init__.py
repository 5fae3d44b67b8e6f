"""A line card that is another process on this box: linear PCM and line events over a Unix socket."""
