"""Floor 3: from PCM and line events to call records, recordings and evidence."""
