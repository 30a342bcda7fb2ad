"""Long polls: who waits for a job, and what wakes them."""
