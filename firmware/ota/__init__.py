"""The update agent. It imports neither the network nor the board: main.py brings them together."""
