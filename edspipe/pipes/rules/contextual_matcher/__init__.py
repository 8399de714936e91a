"""eds.contextual_matcher: terms and patterns that count by what stands around them."""
