"""Caller-ID clients of the NCID project get the pop-ups of their operator."""
