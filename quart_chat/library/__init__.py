"""The models on this machine: what there is, what is in memory, how the engine is."""
