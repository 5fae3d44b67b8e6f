"""Alarms go out of the box: as webhook deliveries, and by mail."""
