"""Clinical scores: one algorithm, a kind and names each."""
