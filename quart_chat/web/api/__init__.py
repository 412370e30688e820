"""The same nouns as JSON for programs."""
