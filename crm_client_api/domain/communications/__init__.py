"""Communication records: what operators write about their contacts with customers (domain rules, section 3)."""
