"""What happens during a training besides its steps: one callback a file."""
