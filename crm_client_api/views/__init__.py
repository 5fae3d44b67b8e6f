"""What the stores hold as one operator may see it."""
