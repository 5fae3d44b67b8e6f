"""Statistics of calls and people: figures kept beside the stores, and what is read out of them."""
