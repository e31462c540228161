"""The line as a systemd service: its unit file, and how it tells systemd that it is alive."""
