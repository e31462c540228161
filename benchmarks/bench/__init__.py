"""`trackside bench`: every engine and peer in turns, with accuracy and the roofline."""
