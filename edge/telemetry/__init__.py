"""What leaves the box while a line runs: figures for Prometheus, messages for a broker.

Each adapter runs on threads of its own and reads what the loop left it; the loop waits for none.
"""
