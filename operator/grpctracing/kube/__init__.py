"""The only I/O with the API server: transport, informer, work queue, owned objects, events."""
