"""From texts to verdicts: tokenise, cut into windows, batch, run the engine, scale the logits."""
