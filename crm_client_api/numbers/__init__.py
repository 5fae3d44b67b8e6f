"""Where a telephone number belongs, and what the numbers are called that everybody knows."""
