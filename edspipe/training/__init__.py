"""Training: the parts that training loops share."""
