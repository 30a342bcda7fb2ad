"""Texts to verdicts: tokens, windows, batches, logits."""
