// What became of the orders, kept until the host has taken it.
#include "events.h"

void events_put(struct events *events, struct event event)
{
    events->kept[events->next % EVENT_CAPACITY] = event;
    events->next++;
    if (events->count < EVENT_CAPACITY)
        events->count++;
}

void events_drop(struct events *events, uint32_t next)
{
    const uint32_t wanted = events->next - next; // more than there are, if `next` was dropped before
    if (wanted < events->count)
        events->count = wanted;
}

const struct event *events_at(const struct events *events, uint32_t number)
{
    return &events->kept[number % EVENT_CAPACITY];
}
