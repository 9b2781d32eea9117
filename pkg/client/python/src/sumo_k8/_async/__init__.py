"""The client as coroutines."""
