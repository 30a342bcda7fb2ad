"""Who may call what: API keys, scopes, rate limits."""
