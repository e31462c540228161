"""Orders that go to a co-processor on a serial port (firmware/PROTOCOL.md)."""
