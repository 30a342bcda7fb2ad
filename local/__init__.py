"""Runs Sentiq on one machine: Redis, API, worker, webhooks and Flower start and stop together."""
