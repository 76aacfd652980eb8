# What is frozen into the image: all that the port freezes, the firmware, and this board.
include("$(PORT_DIR)/boards/manifest.py")
include("$(BOARD_DIR)/../../firmware/manifest.py")
module("board.py", base_path="$(BOARD_DIR)")
