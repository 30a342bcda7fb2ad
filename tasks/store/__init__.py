"""The job store: everything that speaks to Redis."""
