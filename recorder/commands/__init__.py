"""What the recorder's floor adds to the ``tapdeck`` command."""
