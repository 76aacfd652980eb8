# What the ESP32 boards of this folder have in common. A board sets IDF_TARGET, and BLUETOOTH to
# OFF where that would leave no room in a slot for the agent, and includes this.
# Run in ports/esp32 of MicroPython 1.24 or later. Never built here: no test has ESP-IDF.

if(EXISTS ${CMAKE_SOURCE_DIR}/boards/mpconfigboard_${IDF_TARGET}_common.cmake)
    include(boards/mpconfigboard_${IDF_TARGET}_common.cmake)  # 1.29 and later
else()
    # Later ones win; some versions of MicroPython have one for the version of ESP-IDF.
    set(SDKCONFIG_DEFAULTS boards/sdkconfig.base ${SDKCONFIG_IDF_VERSION_SPECIFIC})
    set(PARTS ble)
    if(IDF_TARGET STREQUAL esp32s3)
        list(APPEND PARTS usb spiram_sx)
    elseif(IDF_TARGET STREQUAL esp32c3)
        list(APPEND PARTS riscv c3)
    endif()
    foreach(PART ${PARTS})
        if(EXISTS ${CMAKE_SOURCE_DIR}/boards/sdkconfig.${PART})
            list(APPEND SDKCONFIG_DEFAULTS boards/sdkconfig.${PART})
        endif()
    endforeach()
endif()
if(DEFINED BLUETOOTH AND NOT BLUETOOTH)
    list(REMOVE_ITEM SDKCONFIG_DEFAULTS boards/sdkconfig.ble)
endif()

# The path of the table must be absolute, so it is written down when it is known.
file(WRITE ${CMAKE_BINARY_DIR}/sdkconfig.partitions
    "CONFIG_PARTITION_TABLE_CUSTOM=y\n"
    "CONFIG_PARTITION_TABLE_CUSTOM_FILENAME=\"${MICROPY_BOARD_DIR}/partitions.csv\"\n"
)
list(APPEND SDKCONFIG_DEFAULTS
    ${MICROPY_BOARD_DIR}/sdkconfig.board
    ${CMAKE_BINARY_DIR}/sdkconfig.partitions
)
set(MICROPY_FROZEN_MANIFEST ${MICROPY_BOARD_DIR}/manifest.py)
