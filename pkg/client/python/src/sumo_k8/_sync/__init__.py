# Generated from the asynchronous client by `make generate`; do not edit.
"""The client as coroutines."""
