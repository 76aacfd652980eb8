"""What `sluice doctor` asks a board, and how it tells of it."""
