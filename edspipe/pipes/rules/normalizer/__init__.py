"""eds.normalizer: the text as rules compare it."""
