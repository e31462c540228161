"""The live page: the loop leaves what it has seen, and a process of its own shows it."""
