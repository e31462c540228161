"""From stretches of rail to pulses on real outputs."""
