"""A bucket, Amazon S3's face of it, and presigned addresses."""
