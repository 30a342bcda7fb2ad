"""Bodies of requests and responses, and query parameters."""
