"""The tape: the ring file into which a line card's recorder writes all PCM, and reading it back.

One writer (the recorder's reading thread); any number of readers in any process, by ``pread``, which never hold
the writer up. A reader that was lapped by the ring sees a gap, never wrong samples.
"""
