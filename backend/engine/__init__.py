"""Deciding, doing and telling, for any graph of resources.

Knows nothing of Google Cloud, Kubernetes or any front end, and imports the standard library only.
"""
