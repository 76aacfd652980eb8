#ifndef MICROPY_HW_BOARD_NAME
#define MICROPY_HW_BOARD_NAME       "ESP32-C3 with Sluice"
#endif
#ifndef MICROPY_HW_MCU_NAME
#define MICROPY_HW_MCU_NAME         "ESP32-C3"
#endif

// As mpconfigboard.cmake says: no room for it.
#define MICROPY_PY_BLUETOOTH        (0)

// The REPL on UART 0 too, for modules behind a USB bridge.
#define MICROPY_HW_ENABLE_UART_REPL (1)
