"""Runs Sentiq in containers and clusters: nginx, Redis, Flower, monitoring, Kubernetes, settings, checks."""
