"""Reading, writing and making CT studies."""
