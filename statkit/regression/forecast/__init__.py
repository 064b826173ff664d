"""What a fit would cost and give, told before it: ``explain``, from metadata and a pilot."""
