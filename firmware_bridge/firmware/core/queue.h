// The orders on board: a fixed number of them, and heaps that say which comes next.
#ifndef TRACKSIDE_QUEUE_H
#define TRACKSIDE_QUEUE_H

#include "types.h"

enum { ORDER_CAPACITY = 120 }; // so that EVENT_CAPACITY holds all that may become of them

struct order {
    struct stretch stretch;
    int64_t key_um;  // what the heap it is in sorts by
    uint32_t number; // as the host numbers it; 0 for rail that no pass came for
    uint32_t turn;   // breaks ties
    bool pass;       // lets its stretch through
    bool late;       // its start had gone by when it came
    bool bypassed;   // the actuator was let go while it was under it
    bool opens;      // the actuator was driven for it; other orders found it driven
};

typedef uint8_t slot; // of an order

// The slots, those that hold nothing kept on a stack.
struct pool {
    struct order orders[ORDER_CAPACITY];
    slot free[ORDER_CAPACITY];
    unsigned free_count;
};

// The first of its orders is the one with the smallest key, and among those the earliest turn.
struct heap {
    slot slots[ORDER_CAPACITY];
    unsigned count;
};

void pool_init(struct pool *pool);
slot pool_take(struct pool *pool); // while free_count is above nought
void pool_give(struct pool *pool, slot free);

void heap_push(struct heap *heap, const struct pool *pool, slot pushed);
slot heap_pop(struct heap *heap, const struct pool *pool); // while count is above nought
slot heap_remove(struct heap *heap, const struct pool *pool, unsigned at); // while `at` is below count

#endif
