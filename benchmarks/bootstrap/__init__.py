"""What the payload costs."""
