"""The rehearsal cloud: a process on loopback that answers as Google Cloud and its Kubernetes clusters do.

It shares no code with the product's clients and resources, so that a mistake on one side shows on
the other. The product knows it through `control` alone.
"""
