set(IDF_TARGET esp32c3)
set(BLUETOOTH OFF)
include(${MICROPY_BOARD_DIR}/../esp32.cmake)
