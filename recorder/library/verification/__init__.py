"""Whether everything is what it was: on the box, and anywhere else."""
