"""The event store: what was rejected, unsure or sampled, in SQLite, with its pictures beside it."""
