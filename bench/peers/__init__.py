"""Other ways to serve the same model: their environments, servers, loads and report."""
