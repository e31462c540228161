// The orders on board: a fixed number of them, and heaps that say which comes next.
#include "queue.h"

void pool_init(struct pool *pool)
{
    for (unsigned i = 0; i < ORDER_CAPACITY; i++)
        pool->free[i] = (slot)i;
    pool->free_count = ORDER_CAPACITY;
}

slot pool_take(struct pool *pool)
{
    return pool->free[--pool->free_count];
}

void pool_give(struct pool *pool, slot free)
{
    pool->free[pool->free_count++] = free;
}

static bool comes_before(const struct pool *pool, slot a, slot b)
{
    const struct order *x = &pool->orders[a], *y = &pool->orders[b];
    if (x->key_um != y->key_um)
        return x->key_um < y->key_um;
    return (int32_t)(x->turn - y->turn) < 0; // turns may roll over
}

void heap_push(struct heap *heap, const struct pool *pool, slot pushed)
{
    unsigned hole = heap->count++;
    while (hole > 0 && comes_before(pool, pushed, heap->slots[(hole - 1) / 2])) {
        heap->slots[hole] = heap->slots[(hole - 1) / 2];
        hole = (hole - 1) / 2;
    }
    heap->slots[hole] = pushed;
}

// Fill the hole at `at` with the last, and let it sink to where it belongs.
static void sink(struct heap *heap, const struct pool *pool, unsigned at, slot last)
{
    unsigned hole = at;
    for (;;) {
        unsigned child = 2 * hole + 1;
        if (child + 1 < heap->count
            && comes_before(pool, heap->slots[child + 1], heap->slots[child]))
            child++;
        if (child >= heap->count || !comes_before(pool, heap->slots[child], last))
            break;
        heap->slots[hole] = heap->slots[child];
        hole = child;
    }
    heap->slots[hole] = last;
}

slot heap_pop(struct heap *heap, const struct pool *pool)
{
    return heap_remove(heap, pool, 0);
}

slot heap_remove(struct heap *heap, const struct pool *pool, unsigned at)
{
    const slot removed = heap->slots[at];
    const slot last = heap->slots[--heap->count];
    if (at == heap->count)
        return removed;
    while (at > 0 && comes_before(pool, last, heap->slots[(at - 1) / 2])) {
        heap->slots[at] = heap->slots[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    sink(heap, pool, at, last);
    return removed;
}
