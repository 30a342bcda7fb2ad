"""The sender of webhooks: tells receivers that their jobs are over."""
