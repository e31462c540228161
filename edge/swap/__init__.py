"""Another bundle for a line that runs: asked for, tried beside the old one, taken or refused."""
