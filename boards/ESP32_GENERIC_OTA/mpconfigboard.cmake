set(IDF_TARGET esp32)
set(BLUETOOTH OFF)
include(${MICROPY_BOARD_DIR}/../esp32.cmake)
