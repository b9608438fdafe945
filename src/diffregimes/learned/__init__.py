"""Trained networks: read as scores, so that all the rest can be measured on them."""
