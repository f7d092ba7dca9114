"""The worker: one process that grabs jobs, runs their tasks and knows how to stop."""
