"""The sender of webhooks: posts to receivers when their jobs finish."""
