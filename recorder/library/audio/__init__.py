"""The files of recordings: names, plain and encrypted bytes."""
