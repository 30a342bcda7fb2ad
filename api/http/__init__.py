"""HTTP itself: reading requests, writing responses, problem documents."""
