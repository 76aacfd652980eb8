#ifndef MICROPY_HW_BOARD_NAME
#define MICROPY_HW_BOARD_NAME       "ESP32 with Sluice"
#endif
#ifndef MICROPY_HW_MCU_NAME
#define MICROPY_HW_MCU_NAME         "ESP32"
#endif

// As mpconfigboard.cmake says: no room for it.
#define MICROPY_PY_BLUETOOTH        (0)
