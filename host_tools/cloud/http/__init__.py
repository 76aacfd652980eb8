"""The HTTP server, and boto3's calls read by botocore's own models."""
