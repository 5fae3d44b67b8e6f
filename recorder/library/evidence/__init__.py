"""Signed manifests, logs, heads, proofs and anchors (docs/evidence.md)."""
