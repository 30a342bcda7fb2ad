"""Who may call what: keys, scopes, rate limits."""
