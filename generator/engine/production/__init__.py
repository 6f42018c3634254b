"""Production engines: photoreal people on a GPU, by diffusers."""
