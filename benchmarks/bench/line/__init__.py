"""`trackside bench --mode line`: all cameras of a line file, from memory to the orders."""
