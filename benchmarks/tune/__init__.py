"""What each threshold and size limit of a line would cost, on marked pictures."""
