"""Workbooks, text files and visiting cards: read with suspicion, written so that they can be read again."""
