"""`make parity`: our answers against those of ModelScope's own pipeline, on equal checkpoints and texts."""
