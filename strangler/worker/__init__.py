"""The data plane: the process that forwards requests and does nothing else."""
