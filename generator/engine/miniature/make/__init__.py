"""Make the weights of `miniature` from nothing but the painter. See docs/miniature.md."""
