"""One small controller per concern. Each reads caches, asks the pure core what to do, does at most that, and reports."""
