"""Following a channel: from line events and signals to calls, and what of them is recorded."""
