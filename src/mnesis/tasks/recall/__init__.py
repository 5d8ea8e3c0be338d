"""Finding again what was said: by key, by place, by what followed."""
