"""Listening: recordings, whole calls and live lines as audio that a client can play."""
