"""Runs Sentiq on one machine: Redis, API, worker and Flower as one stack that starts and ends together."""
