"""The comparison of workers on hosts of their own."""
