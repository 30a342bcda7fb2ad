"""HTTP handlers, with one blueprint in each file."""
