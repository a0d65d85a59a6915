"""The worker: the process that forwards requests and does nothing else."""
