"""The Kubernetes side of the emulated cloud: one API server per cluster, with the objects behind it."""
