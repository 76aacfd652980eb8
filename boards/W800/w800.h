// What a MicroPython port for W800 must give Sluice, as C. Not tried on hardware: see README.md.
// Return 0, or an errno. All but sluice_w800_reboot are called from the task that runs Python.

#ifndef SLUICE_W800_H
#define SLUICE_W800_H

#include <stddef.h>
#include <stdint.h>

// The partition of that name. ENOENT when the table at 0xE000 has none.
int sluice_w800_part_find(const char *name, uint32_t *offset, uint32_t *size);

// Offsets are from the beginning of flash. Writing programs and does not erase; erasing takes whole
// sectors of 4,096 bytes. None may be called with the flash's XIP cache holding stale lines.
int sluice_w800_flash_read(uint32_t offset, uint8_t *into, size_t size);
int sluice_w800_flash_write(uint32_t offset, const uint8_t *data, size_t size);
int sluice_w800_flash_erase(uint32_t offset, uint32_t size);

// Through the boot loader. The vendor's OTA code sets reboot reason 5 (OTA) before its reset; whether
// the boot loader looks for a staged image without it is not documented. So set it at every reset, as
// the agent does not say which of them follows an update.
void sluice_w800_reboot(void) __attribute__((noreturn));

// Keys have at most 15 characters, values up to 1,024 bytes. Getting a key that is not there gives
// ENOENT. Setting returns once the value is on the medium, and is atomic across a power cut.
int sluice_w800_kv_get(const char *key, uint8_t *into, size_t room, size_t *size);
int sluice_w800_kv_set(const char *key, const uint8_t *value, size_t size);

// The watchdog resets the board unless it is fed within that time; a flash erase must not starve it.
int sluice_w800_watchdog(uint32_t timeout_ms);
void sluice_w800_feed(void);

#endif
