"""Names that more than one part has to spell alike, of what mcig makes and of what Google calls its own.

Pure data: whoever makes a thing and whoever looks for it take its name from here.
"""

from __future__ import annotations

RELAY_POD = "mcig-relay"
"""Pod, ConfigMap and field manager of the relay."""
RELAY_CONTAINER = "relay"
RELAY_PORT = 8080
RELAY_WAIT = "x-mcig-relay-ttfb-ms"
"""Header of an answer that the relay passes back: milliseconds to its first byte."""
RELAY_ERROR = "x-mcig-relay-error"
"""Header of what the relay itself has to say."""
MODEL_SERVER = "vllm"
"""Container of a model server."""
INGRESS_FEATURE = "multiclusteringress"
"""Google's name for the fleet feature that runs multi-cluster gateways."""
