"""Training of encoders by episodes: configuration, Lightning loop, checkpoints."""
