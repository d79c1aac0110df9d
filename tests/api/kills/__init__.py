"""kill -9 of the real operator at chosen points of its work, and whether the cluster then is as without."""
