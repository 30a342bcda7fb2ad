"""The load generators: each puts one kind of load on the service or on an engine, and measures it."""
