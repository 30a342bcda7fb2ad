"""The worker as processes: the parent, its children, what they share."""
