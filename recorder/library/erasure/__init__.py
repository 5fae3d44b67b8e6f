"""Everything about one number, and its end."""
