"""Finding secrets where they stand, so that all around them stays as it was sent."""
