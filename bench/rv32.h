// What an ESP32-C3 has and MicroPython's port for qemu has not.

#include "mpconfigport.h"

#undef MICROPY_PY_ASYNCIO
#undef MICROPY_PY_SELECT
#undef MICROPY_PY_TIME
#define MICROPY_PY_ASYNCIO (1)
#define MICROPY_PY_SELECT (1)
#define MICROPY_PY_TIME (1)
#define MICROPY_OPT_COMPUTED_GOTO (1)

// Instructions since the reset, where qemu counts them (-icount): minstret is their number.
static inline uint32_t rv32_instructions(void) {
    uint32_t count;
    __asm__ volatile ("csrr %0, minstret" : "=r" (count));
    return count;
}

// A millisecond is a million instructions. time.ticks_cpu() counts four at a time: it has 30 bits.
#define mp_hal_ticks_cpu() (rv32_instructions() >> 2)
#define mp_hal_ticks_us() (rv32_instructions() / 1000)
#define mp_hal_ticks_ms() (rv32_instructions() / 1000000)
#define mp_hal_delay_us(us) rv32_delay(us)
#define mp_hal_delay_ms(ms) rv32_delay(1000 * (ms))

static inline void rv32_delay(uint32_t us) {
    uint32_t start = mp_hal_ticks_us();
    while (mp_hal_ticks_us() - start < us) {
    }
}
