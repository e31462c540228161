// What the loop needs of a board. A port owns all I/O and the clock, and knows no rule.
#ifndef TRACKSIDE_PORT_H
#define TRACKSIDE_PORT_H

#include "../core/bridge.h"

// The output rejects before this returns, and would if it never did. What the board finds wrong with
// itself on the way is in what it returns.
struct board port_init(void);

// Once each turn: show the hardware's watchdog that the loop turns. Bits of `enum fault` that were
// found since the start.
uint8_t port_turn(void);

int64_t port_now_ns(void);   // never goes back
uint32_t port_count(void);   // what the encoder's counter shows
bool port_lost_counts(void); // since it was last asked
void port_reject(bool rejects);
bool port_rejects(void); // what the output's own pin is at, read back

bool port_read(uint8_t *byte);  // false if none has come
uint32_t port_lost_bytes(void); // since it was last asked
bool port_can_write(void);
void port_write(uint8_t byte);

#endif
