// CRC-32 as zlib and Ethernet have it: of frames, of the settings, of the orders taken, of the image.
#ifndef TRACKSIDE_CRC_H
#define TRACKSIDE_CRC_H

#include "types.h"

// Of these bytes after those that gave `before`; 0 where there were none. "123456789" gives 0xCBF43926.
uint32_t crc32(uint32_t before, const uint8_t *bytes, size_t count);

#endif
