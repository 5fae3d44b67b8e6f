"""Signal processing on arrays ``(channels, samples)``; knows nothing of calls."""
