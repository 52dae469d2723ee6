"""kube: Kubernetes, thinly: client, reflector, keyed queue. Knows nothing of our kinds."""
