"""The live page: the loop leaves what it has seen, a server's thread shows it."""
