"""The tools with which people change Deployments, each playing the same scenario beside the operator; docs/gitops.md is written from it."""
