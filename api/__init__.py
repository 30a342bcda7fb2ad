"""The HTTP API: turns texts into jobs and shows their progress and results."""
