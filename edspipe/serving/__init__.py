"""What becomes of a trained model: a registry that keeps it, and programs that serve it."""
