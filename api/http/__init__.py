"""HTTP: reading requests, writing responses, problem documents."""
