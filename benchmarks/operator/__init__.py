"""What the operator costs at 1,000, 5,000 and 10,000 Deployments, beside an operator of kopf's own handlers."""
