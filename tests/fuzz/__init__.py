"""Coverage-guided fuzzing of what an attacker can reach: `make fuzz`."""
