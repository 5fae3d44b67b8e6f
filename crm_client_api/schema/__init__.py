"""The tables of the office's store, step by step."""
