"""`make parity`: compare our verdicts with those of ModelScope's own pipeline, the stock pipeline."""
