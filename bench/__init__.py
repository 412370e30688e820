"""What quart-chat costs: start, memory, latency, processor time and stalls, each beside a yardstick of the same run."""
