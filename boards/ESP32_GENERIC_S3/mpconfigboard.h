#ifndef MICROPY_HW_BOARD_NAME
#define MICROPY_HW_BOARD_NAME       "ESP32-S3 with Sluice"
#endif
#ifndef MICROPY_HW_MCU_NAME
#define MICROPY_HW_MCU_NAME         "ESP32-S3"
#endif

// The REPL on UART 0 too, for modules behind a USB bridge.
#define MICROPY_HW_ENABLE_UART_REPL (1)
