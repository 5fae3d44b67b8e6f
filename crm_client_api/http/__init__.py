"""The HTTP API: one file a resource, a thin shell around the domain."""
