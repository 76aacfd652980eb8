"""Device Shadow, classic and named."""
