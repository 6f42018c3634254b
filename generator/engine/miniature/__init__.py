"""`miniature`: the embedded base model, trained by this project on portraits it paints itself."""
