"""The keeper's thread for recordings, and what its tasks share."""
