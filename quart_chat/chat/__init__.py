"""The rules of the conversation: what may be said when, whose turn it is, how an answer comes about."""
