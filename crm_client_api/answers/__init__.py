"""What the API says: the structs of its answers, by subject."""
