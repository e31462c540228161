"""What a line finds and what it misses, with its confidence: `trackside qualify`."""
