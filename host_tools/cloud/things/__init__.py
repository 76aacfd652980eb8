"""Things, certificates, groups and policies."""
