"""From the tape to finished recordings on the disk."""
